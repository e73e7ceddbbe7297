"""Reading again what is not what was written: bytes may be cut short or altered on their way, and lie in the store as they should."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from toil_core.errors import CorruptBlob

T = TypeVar("T")

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)
"""What decoding raises when the bytes are not what was written; altered text is another error than altered structure."""

READS = 3


def reread(read: Callable[[], T]) -> T:
    """What is read, with two more tries when it is not what was written.

    Args:
        read: Reads from the store, and checks what comes.

    Raises:
        CorruptBlob: What lies in the store is not what was written.
    """
    for _ in range(READS - 1):
        try:
            return read()
        except CorruptBlob:
            continue
    return read()
