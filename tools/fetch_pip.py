"""Install pip into an environment that has none: python tools/fetch_pip.py ENVIRONMENT/bin/python

Looks where pip itself would look: PIP_INDEX_URL and PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS, the same settings in
pip's config files, and else the public index. The wheel's hash is checked against the one that the index states.
Uses the standard library alone.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

PUBLIC = "https://pypi.org/simple"
CONFIG_FILES = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
WHEEL = re.compile(r"pip-([0-9]+(?:\.[0-9]+)*)-py3-none-any\.whl")


class Links(HTMLParser):
    """Collects the wheels of pip that a page links to and that suit this Python."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        oldest = re.fullmatch(r">=3\.([0-9]+)", values.get("data-requires-python") or "")
        suits = oldest is None or sys.version_info >= (3, int(oldest[1]))
        if tag == "a" and values.get("href") and "data-yanked" not in values and suits:
            self.found.append(values["href"] or "")


def setting(name: str) -> list[str]:
    """The words of one of pip's settings; a variable wins over all files, a later file over an earlier one."""
    variable = os.environ.get(f"PIP_{name.upper().replace('-', '_')}")
    if variable is not None:
        return variable.split()
    files = configparser.RawConfigParser()
    files.read([os.environ.get("PIP_CONFIG_FILE", ""), *(Path(file).expanduser() for file in CONFIG_FILES)])
    for section in ("install", "global"):
        if files.has_option(section, name):
            return files.get(section, name).split()
    return []


def pages() -> list[str]:
    """The places that list wheels, as URLs."""
    indexes = [*(setting("index-url") or [PUBLIC]), *setting("extra-index-url")]
    folders = [place if ":" in place else Path(place).expanduser().absolute().as_uri() for place in setting("find-links")]
    return [*(f"{index.rstrip('/')}/pip/" for index in indexes), *folders]


def download(url: str) -> bytes:
    """The content of a URL."""
    bundle = setting("cert")
    context = ssl.create_default_context(cafile=bundle[0] if bundle else None)
    with urllib.request.urlopen(url, timeout=60, context=context) as answer:
        content: bytes = answer.read()
    return content


def wheels(page: str) -> list[str]:
    """URLs of the wheels of pip that a page, or a folder, lists; none when it cannot be read."""
    parts = urllib.parse.urlsplit(page)
    folder = Path(urllib.request.url2pathname(parts.path))
    if parts.scheme == "file" and folder.is_dir() and not (folder / "index.html").exists():
        return [file.as_uri() for file in folder.glob("pip-*.whl")]
    links = Links()
    try:
        links.feed(download(page + "index.html" if parts.scheme == "file" else page).decode())
    except OSError as error:
        print(f"tools/fetch_pip.py: {page}: {error}", file=sys.stderr)
    return [urllib.parse.urljoin(page, link) for link in links.found]


def version(url: str) -> tuple[int, ...]:
    """The version of pip that a wheel's URL names; empty when it is no final release."""
    match = WHEEL.fullmatch(urllib.parse.urlsplit(url).path.rpartition("/")[2])
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def main(python: str) -> None:
    """Fetch the newest pip and install it for that interpreter."""
    found = [url for page in pages() for url in wheels(page) if version(url)]
    if not found:
        raise SystemExit("tools/fetch_pip.py: no pip was found; install the package python3-venv, or uv, and try again")
    url = max(found, key=version)
    content = download(url)
    stated = urllib.parse.urlsplit(url).fragment
    if stated.startswith("sha256=") and hashlib.sha256(content).hexdigest() != stated.removeprefix("sha256="):
        raise SystemExit(f"tools/fetch_pip.py: {url} is not what the index states; try again")
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder) / urllib.parse.urlsplit(url).path.rpartition("/")[2]
        wheel.write_bytes(content)
        subprocess.run([python, f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
