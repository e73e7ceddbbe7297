"""What a request sends, in pieces that are worth a call of the kernel: left alone, the SDK sends 16 KiB at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.httpchecksum import AwsChunkedWrapper
from toil_core.errors import Transient

PIECE = 1 << 18
"""Bytes of a piece: few enough to stay in the processor's cache between the file and the connection."""


def enlarge(request: Any, **_: Any) -> None:
    """Let a request that is about to be sent read its body in large pieces; bytes are sent at once as they are.

    Args:
        request: The SDK's prepared request.
    """
    body = request.body
    if hasattr(body, "read"):
        request.body = Pieces(body)


class Pieces:
    """A body as an iterable; it has no `read`, because what has one is read in small pieces.

    Args:
        body: The body, which stands at its start.
    """

    def __init__(self, body: Any) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        """All of it.

        Raises:
            Transient: It is shorter than it was when the request was made: its file is being changed.
        """
        if isinstance(self._body, AwsChunkedWrapper):
            yield from self._body  # by `read` it would copy the rest of its piece each time
            return
        left = len(self._body) - self._body.tell() if hasattr(self._body, "__len__") else None
        while piece := self._body.read(PIECE):
            yield piece
            left = None if left is None else left - len(piece)
        if left:
            raise Transient("the file became shorter while it was sent")

    def seek(self, offset: int, whence: int = 0) -> None:
        """Go back to the start, for another try."""
        self._body.seek(offset, whence)
