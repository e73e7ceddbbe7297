"""What a workflow needs to have installed: a pip requirements file, and what the script says of itself (PEP 723)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from toil_core.errors import BadOption

_BLOCK = re.compile(r"^# /// script *$\n((?:^#(?: .*)?$\n)+?)^# ///$", re.MULTILINE)
_OPTIONS = {"-i": "--index-url", "-f": "--find-links"}
_WITH_URL = ("--index-url", "--extra-index-url", "--find-links")
_ALONE = ("--no-index", "--pre")
_LOGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/\s]*)@")
_PROVIDED = "toil-core"
"""Workers have it, or they would not be workers."""


def collect(script: str, file: str | None) -> tuple[str, ...]:
    """The lines of a requirements file for workers, from both sources; each line once.

    Args:
        script: Path of the main script; empty when there is none.
        file: A pip requirements file.

    Raises:
        BadOption: Something in them cannot be read, or workers could not do it.
    """
    lines = dict.fromkeys([*(_of_script(script) if script else ()), *(_of_file(file, ()) if file else ())])
    return tuple(line for line in lines if line)


def _of_script(script: str) -> Iterator[str]:
    try:
        with open(script, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    except OSError:  # it runs, so it was there; what it says of itself is gone
        return
    blocks = _BLOCK.findall(text.replace("\r\n", "\n"))
    if not blocks:
        return
    if len(blocks) > 1:
        raise BadOption(f"{script}: there are {len(blocks)} blocks `# /// script`; keep one")
    import tomllib

    try:
        found = tomllib.loads("".join(line[2:] + "\n" for line in blocks[0].splitlines())).get("dependencies", [])
    except tomllib.TOMLDecodeError as error:
        raise BadOption(f"{script}: the block `# /// script` is not TOML: {error}") from None
    if not isinstance(found, list) or not all(isinstance(line, str) for line in found):
        raise BadOption(f"{script}: `dependencies` in the block `# /// script` must be a list of texts")
    for line in found:
        where = f"{script}, block `# /// script`"
        _refuse_secret(line, where)
        yield _checked(line, where)


def _of_file(file: str, above: tuple[str, ...]) -> Iterator[str]:
    path = os.path.abspath(file)
    if path in above:
        raise BadOption(f"--python-requirements: {file} includes itself")
    try:
        with open(path, encoding="utf-8-sig") as stream:  # editors of other systems begin with a mark
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise BadOption(f"--python-requirements: {file} cannot be read: {why}") from None
    number = 0
    for joined in re.sub(r"\\\n", "\0", text).split("\n"):
        where = f"{file}:{number + 1}"
        number += 1 + joined.count("\0")
        line = re.sub(r"(^|\s)#.*$", "", joined.replace("\0", " ")).strip()
        _refuse_secret(line, where)  # before anything that shows the line
        included = re.fullmatch(r"(?:-r|--requirement)[ =]*(.+)", line)
        if included:
            yield from _of_file(os.path.join(os.path.dirname(path), included[1].strip()), (*above, path))
        elif line.startswith("-"):
            yield _option(line, where, os.path.dirname(path))
        elif line:
            yield _checked(line, where)


def _option(line: str, where: str, folder: str) -> str:
    name, _, value = re.sub(r"[ =]+", " ", line, count=1).partition(" ")
    name = _OPTIONS.get(name, name)
    if name in _ALONE and not value:
        return name
    if name not in _WITH_URL or not value:
        raise BadOption(f"{where}: workers cannot do {line!r}; write requirements, {', '.join((*_WITH_URL, *_ALONE))} or -r FILE")
    if not urlsplit(value).scheme:
        return f"{name} {os.path.abspath(os.path.join(folder, value))}"
    return f"{name} {value}"


def _checked(line: str, where: str) -> str:
    """The line, when it is a requirement that workers can meet; empty for what they always have."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        requirement = Requirement(re.sub(r"\s--hash[ =]\S+", "", line))
    except InvalidRequirement as error:
        why = str(error).splitlines()[0]
        raise BadOption(f"{where}: {line!r} is no requirement that workers can install ({why}); write NAME==VERSION or NAME @ URL") from None
    return "" if canonicalize_name(requirement.name) == _PROVIDED else line


def _refuse_secret(line: str, where: str) -> None:
    for scheme, login in _LOGIN.findall(line):
        if ":" in login or scheme.lower().endswith(("http", "https")):  # for these a name alone is a token
            raise BadOption(
                f"{where}: the URL holds a password or a token, and would be stored with it; give it to workers in their environment (PIP_INDEX_URL)"
            )
