"""A page of memory that a fork server, its slots and their attempts share: what runs where, and what was decided about it."""

from __future__ import annotations

import mmap

SLOTS = 8192
"""The most slots of a fork server."""

STORE, DEFERRED = 1, 2
"""What a process did: opened the job store; left functions to run afterwards."""
_FIELDS = 9
_ENDED, _PID, _STARTED, _INDEX, _OPENED, _VERDICT, _PEAK, _CANCELLED, _DISK = range(_FIELDS)


class Notes:
    """The part of the page that belongs to one slot. Each number is written by one process at a time.

    Args:
        page: The whole page.
        slot: Which slot.
    """

    def __init__(self, page: mmap.mmap, slot: int) -> None:
        start = slot * _FIELDS * 8
        self._view = memoryview(page)[start : start + _FIELDS * 8].cast("q")

    # By the slot

    def end(self) -> None:
        """One more batch is over."""
        self._view[_ENDED] += 1

    def next(self, work: int, index: int) -> bool:
        """A process for the task of the work is about to be forked; False when the work is to end."""
        view = self._view
        if view[_CANCELLED] == work + 1:
            return False
        view[_INDEX] = index
        view[_OPENED] = 0
        view[_VERDICT] = 0
        view[_PEAK] = 0
        view[_DISK] = 0
        return True

    def forked(self, pid: int, now: int) -> None:
        """The process is there, or (0) gone.

        Args:
            pid: Its id.
            now: Nanoseconds of the monotonic clock.
        """
        self._view[_STARTED] = now
        self._view[_PID] = pid

    def over(self, pid: int) -> tuple[int, int, int, int, int]:
        """The process is gone: what is known of it, in one call, as each call costs the slot pages.

        Returns:
            The task that ran last; what it did (`STORE`, `DEFERRED`); what the fork server decided about it (0 for
            nothing); its peak of memory in bytes; the most bytes that its folder was seen to take.
        """
        view = self._view
        view[_STARTED] = 0
        view[_PID] = 0
        verdict = view[_VERDICT]
        return view[_INDEX], view[_OPENED], verdict & 0xFF if verdict >> 8 == pid else 0, view[_PEAK], view[_DISK]

    @property
    def disk(self) -> int:
        """The most bytes that the process's folder was seen to take."""
        return self._view[_DISK]

    # By the attempt

    def task(self, index: int) -> None:
        """The process goes on to this task; -1 when it has done all of them."""
        self._view[_INDEX] = index

    def store(self) -> None:
        """The process opens the job store."""
        self._view[_OPENED] |= STORE

    def defer(self, *, some: bool = True) -> None:
        """The process has left functions to run afterwards; or (False) there are none any more."""
        self._view[_OPENED] = self._view[_OPENED] & ~DEFERRED | DEFERRED * some

    @property
    def deferred(self) -> bool:
        """Whether there are functions to run afterwards."""
        return bool(self._view[_OPENED] & DEFERRED)

    @property
    def index(self) -> int:
        """The task that runs, or ran last."""
        return self._view[_INDEX]

    # By the fork server

    @property
    def ended(self) -> int:
        """How many batches are over."""
        return self._view[_ENDED]

    def running(self) -> tuple[int, int]:
        """The process that runs (0 for none), and when it started, in nanoseconds of the monotonic clock."""
        return self._view[_PID], self._view[_STARTED]

    def cancelled(self, work: int) -> bool:
        """Whether the work is to end."""
        return self._view[_CANCELLED] == work + 1

    def cancel(self, work: int) -> None:
        """No further task of the work is to start."""
        self._view[_CANCELLED] = work + 1

    def judge(self, pid: int, verdict: int) -> None:
        """Decide about the process, unless that was done."""
        if self._view[_VERDICT] >> 8 != pid:
            self._view[_VERDICT] = pid << 8 | verdict

    def disk_peak(self, disk: int) -> None:
        """The process's folder was seen to take so many bytes."""
        self._view[_DISK] = max(self._view[_DISK], disk)

    def peak(self, memory: int) -> None:
        """The process was seen to use so many bytes."""
        self._view[_PEAK] = max(self._view[_PEAK], memory)


def new_page() -> mmap.mmap:
    """A page for all slots, shared by every process forked from here on."""
    return mmap.mmap(-1, SLOTS * _FIELDS * 8)
