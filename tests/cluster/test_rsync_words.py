from __future__ import annotations

import pytest

from toil_core.cluster.rsync_words import paths, with_values


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
    assert with_values(given) == whole
    assert paths(whole) == of_paths
