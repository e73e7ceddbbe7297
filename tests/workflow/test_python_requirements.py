"""What a workflow says it needs to have installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from toil_core.errors import BadOption
from toil_core.workflow.python_requirements import collect


def lines(folder: Path, text: str) -> tuple[str, ...]:
    (folder / "needs.txt").write_text(text)
    return collect("", str(folder / "needs.txt"))


def test_a_requirements_file(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("attrs>=20\n-r third.txt\n")
    (tmp_path / "third.txt").write_text("numpy==2.0 \\\n  --hash=sha256:abc\n")
    found = lines(tmp_path, "# all of it\nnumpy==2.0 --hash=sha256:abc\n\n-r more.txt\nToil_Core==1\ntiny[fast]>1; python_version > '3' # why\n")
    assert found == ("numpy==2.0 --hash=sha256:abc", "attrs>=20", "numpy==2.0    --hash=sha256:abc", "tiny[fast]>1; python_version > '3'")


def test_where_to_find_it(tmp_path: Path) -> None:
    found = lines(tmp_path, "-f wheels\n--find-links=https://example.org/wheels\n-i https://example.org/simple\n--no-index\n--pre\n")
    expected = (f"--find-links {tmp_path}/wheels", "--find-links https://example.org/wheels", "--index-url https://example.org/simple")
    assert found == (*expected, "--no-index", "--pre")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\n./tiny.whl\n", "needs.txt:2: './tiny.whl' is no requirement that workers can install"),
        ("-e .\n", "needs.txt:1: workers cannot do '-e .'"),
        ("a \\\n >=1\n\n--weird\n", "needs.txt:4: workers cannot do '--weird'"),
        ("-r needs.txt\n", "needs.txt includes itself"),
        ("-r nothing.txt\n", "nothing.txt cannot be read: No such file"),
        ("-i https://me:secret@example.org/simple\n", "needs.txt:1: the URL holds a password"),
        ("x @ git+https://me:secret@example.org/x\n", "needs.txt:1: the URL holds a password"),
        ("https://me:secret@example.org/x.whl\n", "needs.txt:1: the URL holds a password"),
        ("--trusted-url https://me:secret@example.org/\n", "needs.txt:1: the URL holds a password"),
        ("x @ git+https://secret@example.org/x@v1\n", "needs.txt:1: the URL holds a password or a token"),
    ],
)
def test_what_workers_cannot_do_is_refused_in_a_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadOption, match=re.escape(why)) as raised:
        lines(tmp_path, text)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_name_to_log_in_with_is_no_secret_where_a_key_goes_with_it(tmp_path: Path) -> None:
    assert lines(tmp_path, "\ufeffx @ git+ssh://git@example.org/x@v1\ny @ https://example.org/y@2.whl\n") == (
        "x @ git+ssh://git@example.org/x@v1",
        "y @ https://example.org/y@2.whl",
    )


SCRIPT = """\
#!/usr/bin/env python
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "toil-core>=0.1",
#   "tiny==2.0",
#
#   "attrs",
# ]
# ///
import tiny
"""


def test_what_a_script_says_of_itself(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    assert collect(str(script), None) == ("tiny==2.0", "attrs")
    (tmp_path / "needs.txt").write_text("attrs\nother")
    assert collect(str(script), str(tmp_path / "needs.txt")) == ("tiny==2.0", "attrs", "other")
    script.write_text("import tiny\n# /// other\n# dependencies = 1\n# ///\n")
    assert collect(str(script), None) == ()
    assert collect(str(tmp_path / "gone.py"), None) == ()


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("# dependencies = [\n", "is not TOML"),
        ('# dependencies = "tiny"\n', "must be a list of texts"),
        ('# dependencies = ["tiny =="]\n', "is no requirement that workers can install"),
        ("# x = 1\n# ///\n\n# /// script\n# y = 1\n", "there are 2 blocks"),
    ],
)
def test_a_script_that_says_nonsense(tmp_path: Path, block: str, why: str) -> None:
    script = tmp_path / "run.py"
    script.write_text(f"# /// script\n{block}# ///\n")
    with pytest.raises(BadOption, match=re.escape(why)):
        collect(str(script), None)
