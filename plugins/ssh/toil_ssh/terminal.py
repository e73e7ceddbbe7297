"""The user's streams, or terminal, handed to a command on a node."""

from __future__ import annotations

import os
import select
import signal
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import paramiko

_CHUNK = 1 << 16


def converse(channel: paramiko.Channel, command: str) -> int:
    """Run a command, or a login shell, on descriptors 0, 1 and 2.

    Args:
        channel: A session that has begun nothing yet.
        command: The command line; empty for a login shell.

    Returns:
        Its exit code; negative when it never came.
    """
    terminal = os.isatty(0)
    if terminal:
        size = os.get_terminal_size(0)
        channel.get_pty(os.environ.get("TERM", "vt100"), size.columns, size.lines)
    if command:
        channel.exec_command(os.fsencode(command))
    else:
        channel.invoke_shell()
    reading, writing = os.pipe()
    threads = [threading.Thread(target=_type, args=(channel, reading), daemon=True), threading.Thread(target=_copy, args=(channel.recv_stderr, 2), daemon=True)]
    with _raw(terminal), _resized(channel, terminal):
        for thread in threads:
            thread.start()
        _copy(channel.recv, 1)
        threads[1].join()
        code: int = channel.recv_exit_status()
        os.close(writing)
        threads[0].join()
    os.close(reading)
    return code


def _type(channel: paramiko.Channel, stop: int) -> None:
    """Send what is typed, until its end, the channel's, or that of the pipe."""
    with suppress(OSError, EOFError):
        while stop not in (ready := select.select([0, stop], [], [])[0]):
            data = os.read(0, _CHUNK) if ready else b""
            if not data:
                _end_input(channel)
                return
            channel.sendall(data)


def _end_input(channel: paramiko.Channel) -> None:
    """Say that there is no more to read.

    The library's own function may send it after its answer to the node's closing of the channel, for which OpenSSH ends the whole connection;
    the channel's lock keeps that answer back.
    """
    with channel.lock:
        message = None if channel.closed else channel._send_eof()
        if message is not None:
            channel.transport._send_user_message(message)


def _copy(receive: Callable[[int], bytes], target: int) -> None:
    while data := receive(_CHUNK):
        while data:
            data = data[os.write(target, data) :]


@contextmanager
def _raw(terminal: bool) -> Iterator[None]:
    """Leave the keys to the other side."""
    if not terminal:
        yield
        return
    before = termios.tcgetattr(0)
    tty.setraw(0, termios.TCSANOW)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextmanager
def _resized(channel: paramiko.Channel, terminal: bool) -> Iterator[None]:
    """Tell the other side of each new size of the terminal."""
    if not terminal or threading.current_thread() is not threading.main_thread():
        yield
        return

    def tell(number: int, frame: object) -> None:
        size = os.get_terminal_size(0)
        with suppress(OSError, paramiko.SSHException):
            channel.resize_pty(size.columns, size.lines)

    before = signal.signal(signal.SIGWINCH, tell)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
