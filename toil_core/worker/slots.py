"""The folder and the log that the attempts of one slot use one after another."""

from __future__ import annotations

import os
from pathlib import Path


class SlotFolder:
    """One place for attempts, used again as long as attempts leave it empty.

    The folder is this process's working directory, and the log its output; attempts inherit them.

    Args:
        folder: Where to make it.
        number: Which slot.
    """

    def __init__(self, folder: str, number: int) -> None:
        self.folder = f"{folder}/{number}"
        self.tmp = f"{self.folder}/tmp"
        self.deferred = f"{os.path.dirname(folder)}/deferred/{os.path.basename(folder)}-{number}"
        self.path = Path(self.tmp)
        self._log = f"{self.folder}/log"
        self._kept = 0
        if os.path.lexists(self.tmp):  # a slot that was ended from outside had it
            from toil_core.worker.folders import remove

            remove(self.tmp)
        os.makedirs(self.tmp, 0o700)
        os.chdir(self.tmp)
        self.log_fd = self._open_log()

    def take_log(self, wanted: bool) -> str:
        """Path of the file with what was printed, now out of the next attempt's way; empty when it is not wanted."""
        if not wanted:
            os.ftruncate(self.log_fd, 0)
            return ""
        os.close(self.log_fd)
        kept = self._name("log")
        os.rename(self._log, kept)
        self.log_fd = self._open_log()
        return kept

    def cut_log(self, wanted: bool) -> bytes:
        """What was printed, at most its last 64 KiB and only when wanted; the log is empty afterwards."""
        size = os.fstat(self.log_fd).st_size
        if not size:
            return b""
        start = max(0, size - 65536)
        text = os.pread(self.log_fd, size - start, start) if wanted else b""
        os.ftruncate(self.log_fd, 0)
        return text

    def take_trash(self) -> str:
        """Path of the folder with what was left, now out of the next attempt's way; empty when there is none."""
        kept = ""
        try:
            os.chdir(self.tmp)  # the attempt may have made the folder anew
            if not os.listdir():
                return ""
            kept = self._name("tmp")
            os.rename(self.tmp, kept)
        except FileNotFoundError:
            pass
        except PermissionError:  # the attempt took away its own rights
            os.chmod(self.tmp, 0o700)
            return self.take_trash()
        os.mkdir(self.tmp, 0o700)
        os.chdir(self.tmp)
        return kept

    def _open_log(self) -> int:
        log = os.open(self._log, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        return log

    def _name(self, kind: str) -> str:
        self._kept += 1
        return f"{self.folder}/{kind}-{os.getpid()}-{self._kept}"
