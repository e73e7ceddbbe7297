"""What a leader takes from the world around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from toil_core.batch_system import BatchSystem, Request, Update
from toil_core.errors import UsageError
from toil_core.leader.surroundings import Inbox


class Forgets(BatchSystem):
    """A batch system whose author forgot what `updates` gives."""

    def submit(self, requests: Sequence[Request]) -> None:
        pass

    def updates(self, seconds: float | None = None) -> list[Update]:
        return None  # type: ignore[return-value]

    def cancel(self, ids: Iterable[str]) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_batch_system_that_answers_nothing_is_not_waited_for() -> None:
    inbox = Inbox()
    inbox.listen(Forgets())
    with pytest.raises(UsageError, match=r"Forgets answers None to updates\(\), where a list is due"):
        inbox.get(60)
