"""The command line that `main` makes of a function."""

from __future__ import annotations

import enum
import json
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import pytest

from toil_core import Directory, File, Job, job, main
from toil_core.errors import BadOption, GraphError
from toil_core.workflow.command_line import CommandLine


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@job
def align(  # type: ignore[no-untyped-def]
    job: Job[Any],
    reads: list[File],
    reference: File,
    quality: int = 20,
    fraction: float | None = None,
    fast: bool = False,
    out_name: str = "100%",
    where: Path | None = None,
    mode: Literal["local", "global"] = "local",
    colour: Colour = Colour.RED,
    words: tuple[str, ...] = (),
    plain=3,
) -> None:
    """Align reads to a reference.

    It goes on here.

    Args:
        reads: The reads,
            in FASTQ.
        quality: The least quality.

    Returns:
        nothing: at all.
    """


def directory(path: str) -> Directory:
    return Directory(File(f"files/{path}", 1, "manifest"), 1, path, 1)


def taken(*arguments: str) -> dict[str, Any]:
    line = CommandLine(align)
    found = line.parse(["store", *arguments])
    node: Any = line.root(found, lambda url: File(f"files/{url}", 1, url), directory)
    return dict(node.kwargs)


NEEDED = ("--reads", "a", "b", "--reference", "r")


def test_types() -> None:
    files = [File(f"files/{name}", 1, name) for name in "ab"]
    assert taken(*NEEDED) == {"reads": files, "reference": File("files/r", 1, "r")}
    more = "--quality 5 --fraction 0.5 --fast --out-name x --where y --mode global --colour BLUE --words a --words b c --plain 4"
    found = taken(*NEEDED, *more.split())
    del found["reads"], found["reference"]
    assert found == {
        "quality": 5,
        "fraction": 0.5,
        "fast": True,
        "out_name": "x",
        "where": Path.cwd() / "y",
        "mode": "global",
        "colour": Colour.BLUE,
        "words": ("a", "b", "c"),
        "plain": 4,
    }
    assert taken(*NEEDED, "--no-fast")["fast"] is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--reads is missing"),
        (("--reads", "a"), "--reference is missing"),
        ((*NEEDED, "--quality", "many"), "--quality: 'many' is not a whole number"),
        ((*NEEDED, "--fraction", "x"), "--fraction: 'x' is not a number"),
        ((*NEEDED, "--mode", "x"), "--mode: 'x' is none of local, global"),
        ((*NEEDED, "--colour", "GREEN"), "--colour: 'GREEN' is none of RED, BLUE"),
        ((*NEEDED, "--qality", "3"), "unknown option --qality; did you mean --quality"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadOption, match=words):
        taken(*arguments)


def test_help() -> None:
    text = CommandLine(align).parser().format_help()
    for part in ("Align reads to a reference.", "The reads, in FASTQ. (required)", "The least quality. [20]", "[100%]", "--no-fast", "LOCATOR"):
        assert part in text
    assert "nothing" not in text
    assert "--default-memory" in text


def test_a_parameter_wins_over_an_option() -> None:
    def function(retry_count: str) -> None: ...

    line = CommandLine(function)
    found = line.parse(["store", "--retry-count", "x", "--retryCount", "3"])
    node: Any = line.root(found, lambda url: File(url, 1, url), directory)
    assert node.kwargs == {"retry_count": "x"}


def test_functions_without_a_command_line() -> None:
    def starred(*args: int) -> None: ...

    def strange(x: dict[str, int]) -> None: ...

    def unknown(x: Nothing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    for function, words in ((starred, "has no name"), (strange, "which no command line can give"), (unknown, "not defined")):
        with pytest.raises(GraphError, match=words):
            CommandLine(function)


def test_what_is_shown(tmp_path: Path) -> None:
    line = CommandLine(lambda: None)
    found = line.parse(["store", "--output-dir", str(tmp_path / "out")])
    written: list[Path] = []

    def shown(value: Any) -> str | None:
        return line.show(line.exported(value, found, lambda file, path: written.append(path)))

    assert shown(None) is None
    assert shown("text") == "text"
    assert shown(Counter("a")) == '{\n  "a": 1\n}'
    assert shown({1, 2}) == "{1, 2}"
    one, other = File("files/1", 1, "a.vcf.gz"), File("files/2", 1, "a.vcf.gz")
    out = str(tmp_path / "out")
    assert shown(one) == f"{out}/a.vcf.gz"
    written.clear()
    assert shown({"x": [one, (other,)]}) == f'{{\n  "x": [\n    "{out}/a.vcf.gz",\n    [\n      "{out}/a-2.vcf.gz"\n    ]\n  ]\n}}'
    assert [path.name for path in written] == ["a.vcf.gz", "a-2.vcf.gz"]


def test_folders_in_and_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in" / "below").mkdir(parents=True)
    (tmp_path / "in" / "below" / "x").write_text("abc")
    monkeypatch.chdir(tmp_path)

    def function(index: Directory) -> dict[str, Directory]:
        return {"same": index}

    main(function, ["./store", "--index", "in", "--output-dir", "out", "--disable-progress"])
    assert json.loads(capsys.readouterr().out) == {"same": "out/in"}
    assert (tmp_path / "out" / "in" / "below" / "x").read_text() == "abc"
    with pytest.raises(SystemExit):
        main(function, ["./store", "--index", "nothing"])
    assert "there is no folder nothing to import" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["store"], ["nowhere:x", *NEEDED], ["--bad"], ["s", "--reads", "/no/such/file", "--reference", "x"]])
def test_mistakes_leave_one_line_and_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(align, arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())
