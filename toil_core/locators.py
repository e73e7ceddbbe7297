"""Addresses of job stores: `NAME:REST`, or a path."""

from __future__ import annotations

import os
import re

from toil_core.errors import BadLocator

_PATH = ("/", ".", "~")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def driver_name(name: str) -> str:
    """A driver's name as its plugin spells it: `singleMachine` and `single-machine` are `single_machine`."""
    return _CAMEL.sub("_", name.strip()).replace("-", "_").lower()


def parse_locator(locator: str) -> tuple[str, str]:
    """The driver's name and what follows it.

    A path (it starts with `/`, `.` or `~`) and a bare word are places in the file system; these come back absolute.

    Raises:
        BadLocator: It is empty, or it names no place.
    """
    if not locator.strip():
        raise BadLocator("the job store's locator is empty; write a folder's path, or NAME:REST")
    name, colon, rest = locator.partition(":")
    if locator.startswith(_PATH) or not colon:
        return "file", _absolute(locator, locator)
    name = driver_name(name)
    if not name:
        raise BadLocator(f"locator {locator!r} has no name before the colon; write a folder's path, or NAME:REST")
    return name, _absolute(rest, locator) if name == "file" else rest


def canonical_locator(locator: str) -> str:
    """The locator as `NAME:REST`, with paths made absolute, so that it means the same from any folder.

    Raises:
        BadLocator: It is empty, or it names no place.
    """
    return ":".join(parse_locator(locator))


def quoted(text: str) -> str:
    """A locator, or a job's name, as one word of a shell's command line, for commands that people copy."""
    from shlex import quote

    return quote(text)


def _absolute(path: str, locator: str) -> str:
    if path.startswith("//"):
        host, _, path = path.lstrip("/").partition("/") if not path.startswith("///") else ("", "", path[3:])
        if host not in ("", "localhost"):
            raise BadLocator(f"locator {locator!r} names the host {host!r}; write file:/PATH for a folder of this machine")
        path = "/" + path
    if not path or "\0" in path:
        raise BadLocator(f"locator {locator!r} names no folder; write file:PATH")
    place = os.path.abspath(os.path.expanduser(path))
    try:
        place.encode()
    except UnicodeEncodeError:
        raise BadLocator(
            f"the folder {os.fsencode(place)!r} has a name that is no UTF-8, or the locale is none for it; choose another folder"
        ) from None
    return place
