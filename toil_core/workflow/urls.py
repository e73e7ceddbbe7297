"""URLs of files that come in and go out."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit


def with_scheme(url: str | os.PathLike[str]) -> str:
    """The URL; or, when it is a path, the `file:` URL of it."""
    text = os.fspath(url)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text):
        return text
    return Path(text).expanduser().absolute().as_uri()


def last_part(url: str) -> str:
    """The name of the file that the URL speaks of."""
    return unquote(urlsplit(url).path.rstrip("/")).rpartition("/")[2] or "file"
