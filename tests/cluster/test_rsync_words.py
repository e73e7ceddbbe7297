from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from toil_core.cluster.rsync_words import from_help, names_shell, options_with_values, paths, with_values
from toil_core.errors import UsageError

NEW = """
rsync is a file transfer program
--verbose, -v            increase verbosity
--no-OPTION              turn off an implied OPTION (e.g. --no-D)
--exclude=PATTERN        exclude files
--rsh=COMMAND, -e        specify the remote shell to use
--block-size=SIZE, -B    force a fixed checksum block-size
--modify-window=NUM, -@  set the accuracy for mod-time comparisons
--filter=RULE, -f        add a file-filtering RULE
-F                       same as --filter='dir-merge /.rsync-filter'
                         repeated: --filter='- .rsync-filter'
--compress-choice=STR    choose the compression algorithm (aka --zc)
"""
OLD = """
 -v, --verbose               increase verbosity
     --exclude=PATTERN       exclude files
 -e, --rsh=COMMAND           specify the remote shell to use
 -B, --block-size=SIZE       force a fixed checksum block-size
 -@, --modify-window=NUM     set the accuracy
 -f, --filter=RULE           add a file-filtering RULE
 -F                          same as --filter='dir-merge /.rsync-filter'
     --compress-choice=STR   choose (aka --zc)
"""
OTHER = "usage: rsync [-aFv] [-e program] [-f filter] [--exclude=pattern] [-B size] [-@ num] [--zc=algorithm]"
OPTIONS = frozenset(("--exclude", "--rsh", "-e", "--block-size", "-B", "--modify-window", "-@", "--filter", "-f", "--compress-choice", "--zc"))


@pytest.mark.parametrize(("text", "options"), [(NEW, OPTIONS), (OLD, OPTIONS), (OTHER, {"-e", "-f", "-B", "-@", "--exclude", "--zc"}), ("", set())])
def test_rsync_tells_which_options_take_a_value(text: str, options: set[str]) -> None:
    assert from_help(text) == options


def test_the_rsync_that_is_here_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("rsync"):
        assert options_with_values() >= {"-e", "--rsh", "-f", "--filter", "--exclude", "--files-from", "-T", "-B", "-M"}
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no rsync on this machine"):
        options_with_values()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["-e", "ssh -p 1", "a", ":b"], True),
        (["-ave", "ssh -p 1", "a", ":b"], True),
        (["--rsh", "ssh", "a", ":b"], True),
        (["--rsh=ssh", "a", ":b"], True),
        (["a", ":b", "-e"], True),
        (["-fe", "a", ":b"], False),
        (["--exclude", "-e", "a", ":b"], False),
        (["--", "-e", ":b"], False),
        (["--existing", "-a", "e", ":e"], False),
    ],
)
def test_another_way_to_the_node_is_seen(given: list[str], named: bool) -> None:
    assert names_shell(with_values(given, OPTIONS), OPTIONS) is named


@pytest.mark.parametrize(
    ("given", "whole", "of_paths"),
    [
        (["-a", "data/", ":data/"], ["-a", "data/", ":data/"], ["data/", ":data/"]),
        (["-a", "--filter", ":- .gitignore", "data/", ":"], ["-a", "--filter=:- .gitignore", "data/", ":"], ["data/", ":"]),
        (["-af", ":- .gitignore", "a", ":b"], ["-af:- .gitignore", "a", ":b"], ["a", ":b"]),
        (["-a", ":a", "b", "--exclude", "*.log"], ["-a", ":a", "b", "--exclude=*.log"], [":a", "b"]),
        (["--exclude=:x", "-e", "ssh -v", "a", ":"], ["--exclude=:x", "-essh -v", "a", ":"], ["a", ":"]),
        (["-f:x", "a", ":b"], ["-f:x", "a", ":b"], ["a", ":b"]),
        (["-a", "--", "-f", ":b"], ["-a", "--", "-f", ":b"], ["-f", ":b"]),
        (["-a", "a", ":b", "--exclude"], ["-a", "a", ":b", "--exclude"], ["a", ":b"]),
    ],
)
def test_values_of_options_are_no_paths(given: list[str], whole: list[str], of_paths: list[str]) -> None:
    assert with_values(given, OPTIONS) == whole
    assert paths(whole) == of_paths
