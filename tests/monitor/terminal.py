"""Programs run as a user runs them: with a terminal of their own, or with pipes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

WORKFLOW = Path(__file__).with_name("workflow.py")
TOIL = (sys.executable, "-c", "import sys; from toil_core.cli import main; sys.exit(main())")
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def environment(**more: str) -> dict[str, str]:
    """The environment without what would colour or configure what is tested."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("TOIL_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"))}
    return {**plain, "XDG_CONFIG_HOME": "/nonexistent", **more}


def piped(*arguments: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `toil` with these arguments to its end, with pipes for its output."""
    command = [*TOIL, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment(**more), text=True, capture_output=True, timeout=200, check=False)


class Terminal:
    """A program in a session of its own whose standard error (and output, unless a file is given) is a terminal.

    Args:
        command: The program and its arguments.
        cwd: Its working directory.
        out: Where standard output goes instead.
        variables: Environment variables.
    """

    def __init__(self, command: Sequence[str | Path], cwd: Path, out: Path | None = None, variables: Mapping[str, str] | None = None) -> None:
        self.seen = ""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
                if out is not None:
                    os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT, 0o644), 1)
                os.chdir(cwd)
                os.execvpe(str(command[0]), [str(word) for word in command], environment(**{"TERM": "xterm-256color", **(variables or {})}))
            finally:
                os._exit(127)

    @property
    def text(self) -> str:
        """What was shown so far, without the sequences that move and colour."""
        return _ESCAPE.sub("", self.seen).replace("\r", "")

    def until(self, pattern: str, seconds: float = 200) -> None:
        """Read until the pattern is seen."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            assert self._read(deadline), f"never saw {pattern!r} in: {self.text}"

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._fd, keys.encode())

    def end(self, seconds: float = 200) -> int:
        """Read to the end, and give the exit code; negative for a signal."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        if time.monotonic() >= deadline:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._fd)
        assert time.monotonic() < deadline, f"it did not end: {self.text}"
        return os.waitstatus_to_exitcode(status)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # how Linux says that nobody has the terminal open any more
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)


def processes_with(text: str) -> list[int]:
    """The processes whose command line or environment holds the text, except this one."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if any(text.encode() in (folder / name).read_bytes() for name in ("cmdline", "environ")):
                    found.append(int(folder.name))
            except OSError:
                continue
    return found
