from __future__ import annotations

import logging

from toil_core.events import JobMessage
from toil_core.leader.watch_options import WatchOptions
from toil_core.monitor.events_file import recorded
from toil_core.options import Config


class Heard(logging.Handler):
    """Keeps what the leader says, whatever became of its logger's parents."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_a_full_disk_is_told_once_in_a_line() -> None:
    heard = Heard()
    logger = logging.getLogger("toil.leader")
    logger.addHandler(heard)
    try:
        with recorded(Config([WatchOptions(events="/dev/full")])) as listeners:
            for _ in range(2):
                for listener in listeners:
                    listener(JobMessage(time=1.0, job="0.0", name="top", level=logging.INFO, text="words"))
    finally:
        logger.removeHandler(heard)
    (told,) = heard.records
    assert told.getMessage() == "the file of events /dev/full cannot be written any more: No space left on device; the run goes on without it"
    assert told.exc_info is None
