"""Reading `http:` and `https:` URLs: streamed, with every failure told apart."""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import BinaryIO, cast
from urllib.parse import quote, urlsplit

import toil_core
from toil_core.errors import BadLocator, ToilError, Transient, Unsupported
from toil_core.sizes import count

SECONDS = 60.0
"""How long a server may stay silent."""
_PASSES = (408, 425, 429, 500, 502, 503, 504)
_BUFFER = 1 << 18
_AS_IS = "/%:?#[]@!$&'()*+,;=~"
"""What a URL may hold unescaped, `%` among it because most URLs are escaped already."""


def opened(url: str, mode: str) -> BinaryIO:
    """Open a URL for reading.

    Args:
        url: The URL.
        mode: `rb`.

    Raises:
        BadLocator: The server, or the URL, says no for good.
        Transient: The server, or the way to it, fails in a way that may pass.
        Unsupported: It is to be written.
    """
    if mode != "rb":
        raise Unsupported(f"{shown(url)} can only be read; write to file:///PATH or to a URL that a plugin can write")
    host = url.partition("://")[2].partition("/")[0]
    if not host:
        raise BadLocator(f"{shown(url)} is no URL: it names no host")
    if "@" in host:
        raise BadLocator(f"{shown(url)}: a URL must not hold a user name or a password; fetch the file yourself and import its path")
    try:
        request = urllib.request.Request(quote(url, safe=_AS_IS), headers={"User-Agent": f"toil-core/{toil_core.__version__}"})
        answer: http.client.HTTPResponse = _opener().open(request, timeout=SECONDS)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _verdict(error, url) from error
    return cast("BinaryIO", io.BufferedReader(_Body(answer, url), _BUFFER))


def shown(url: str) -> str:
    """The URL without passwords and signatures, to be printed."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return url.partition("?")[0]


class _Body(io.RawIOBase):
    """An answer's body that says when it was cut short, which HTTPResponse.read(n) does not."""

    def __init__(self, answer: http.client.HTTPResponse, url: str) -> None:
        self._answer, self._url = answer, url
        length = answer.headers.get("Content-Length")
        self._left = int(length) if length and length.isdigit() and not answer.chunked else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            got = self._answer.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise _verdict(error, self._url) from error
        if self._left is not None:
            self._left -= got
            if not got and self._left > 0:
                raise Transient(f"{shown(self._url)} ended {count(self._left, 'byte')} early")
        return got

    def close(self) -> None:
        if not self.closed:
            self._answer.close()
        super().close()


def _opener() -> urllib.request.OpenerDirector:
    director = urllib.request.OpenerDirector()  # unlike the usual one it follows no redirect to ftp: or file:
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        director.add_handler(handler)
    return director


def _verdict(error: Exception, url: str) -> ToilError:
    where = shown(url)
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        if error.code in _PASSES:
            return Transient(f"{where}: the server answers {error.code} {_phrase(error.code)}")
        if error.code in (301, 302, 303, 307, 308):
            return BadLocator(f"{where} cannot be read: it leads in a circle, or to a URL of another kind")
        hint = {401: "; it asks for a password", 403: "; check that it is public", 404: "; check the spelling"}.get(error.code, "")
        return BadLocator(f"{where} cannot be read: the server answers {error.code} {_phrase(error.code)}{hint}")
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ValueError) or isinstance(error, http.client.InvalidURL):
        return BadLocator(f"{where} is no URL: {reason}")
    if isinstance(reason, ssl.SSLCertVerificationError):
        return BadLocator(f"{where} cannot be trusted: {reason}")
    if isinstance(reason, socket.gaierror) and reason.errno != socket.EAI_AGAIN:
        return BadLocator(f"{where} cannot be read: no such host is known; check the spelling and the network")
    text = os.strerror(reason.errno) if isinstance(reason, OSError) and reason.errno and reason.errno > 0 else str(reason)
    return Transient(f"{where}: {text or type(reason).__name__}")


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return ""
