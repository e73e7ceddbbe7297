"""What is closed when a `with` block ends: the base of the four contracts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """Has `close`, and calls it at the end of its `with` block."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is held. Doing it twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
