"""The transport `local`: a node is a folder of this machine, its user's home.

Commands are processes of this machine: absolute paths, processes and ports are shared by all nodes.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePosixPath
from subprocess import CompletedProcess

from toil_core.drivers import local_copy
from toil_core.errors import BadOption, CannotCopy, NodeFull, Transient, Unreachable
from toil_core.options import Config
from toil_core.provisioner import Node
from toil_core.relays import relay
from toil_core.sync_transport import SyncTransport, TransportOptions, not_done

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RUN = 'exec "$@"'


class LocalTransport(SyncTransport):
    """Reaches nodes that are folders: `TransportOptions.local_nodes`/NAME.

    Args:
        config: The options.

    Raises:
        BadOption: It is not said where the folders are.
    """

    def __init__(self, config: Config) -> None:
        folder = config[TransportOptions].local_nodes
        if not folder:
            raise BadOption("--local-nodes: the transport local needs the folder that its nodes are in")
        self._folder = Path(folder).expanduser().absolute()

    def run(self, node: Node, command: Sequence[str], stdin: bytes = b"", timeout: float | None = None) -> CompletedProcess[bytes]:
        words = ["/bin/sh", "-c", _RUN, "sh", *command]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            words, cwd=self._home(node), env=self._environment(node), stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        ) as process:  # its end closes the pipes, and does not wait for what else holds them
            try:
                out, err = process.communicate(stdin, timeout)
            except subprocess.TimeoutExpired:
                raise not_done(node, command, timeout) from None
            finally:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        return CompletedProcess(command, _code(process.returncode), out, err)

    def push(self, node: Node, source: Path, target: PurePosixPath, *, delete: bool = False) -> None:
        try:
            local_copy.copy(source, self._home(node) / target, delete=delete)
        except local_copy.DiskFull as error:
            raise NodeFull(f"node {node.name}: no space left for {error}") from None
        except CannotCopy as error:
            raise CannotCopy(f"node {node.name}: {error}") from None

    def pull(self, node: Node, source: PurePosixPath, target: Path, *, delete: bool = False) -> None:
        try:
            local_copy.copy(self._home(node) / source, target, delete=delete)
        except local_copy.DiskFull as error:
            raise CannotCopy(f"no space left on this machine for {error}") from None
        except CannotCopy as error:
            raise CannotCopy(f"node {node.name}: {error}") from None

    def shell(self, node: Node, command: Sequence[str] = ()) -> int:
        shell = pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
        words = ["/bin/sh", "-c", _RUN, "sh", *command] if command else [shell, "-l"]
        environment = {**self._environment(node), "TERM": os.environ.get("TERM", "dumb")}
        with _interrupts_for_the_command():
            return _code(subprocess.call(words, cwd=self._home(node), env=environment, stdin=0, stdout=1, stderr=2))

    def forward(self, node: Node, port: int, host: str = "localhost") -> AbstractContextManager[int]:
        self._home(node)
        return relay(lambda: socket.create_connection((host, port), 30))

    def rsync(self, node: Node, arguments: Sequence[str]) -> int:
        program = shutil.which("rsync")
        if program is None:
            raise Unreachable("there is no rsync on this machine: install it (apt-get install rsync)")
        home = self._home(node)
        words = [os.path.join(home, word[1:]) if word.startswith(":") else word for word in arguments]
        return _code(subprocess.call([program, *words], env={"PATH": PATH, "HOME": os.path.expanduser("~")}, stdin=0, stdout=1, stderr=2))

    def _home(self, node: Node) -> Path:
        home = self._folder / node.name
        if not home.is_dir():
            raise Transient(f"node {node.name} is not there: there is no folder {home}")
        return home

    def _environment(self, node: Node) -> dict[str, str]:
        user = pwd.getpwuid(os.getuid()).pw_name
        return {"PATH": PATH, "HOME": str(self._home(node)), "USER": user, "LOGNAME": user, "LANG": "C.UTF-8"}


@contextmanager
def _interrupts_for_the_command() -> Iterator[None]:
    """Let Ctrl-C end what runs in the foreground and not this program, which is to tell its exit code."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: None)  # not SIG_IGN, which the command would inherit
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _code(code: int) -> int:
    return 128 - code if code < 0 else code
