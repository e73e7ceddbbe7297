"""Runs on a node, with nothing but Python's own library: installs an image, and keeps an engine running.

    python3 on_node.py install ARCHIVE FOLDER      unpack wheels into a new environment; nothing is done when it is there already
    python3 on_node.py keep FOLDER                 run FOLDER/engine.json's command until SIGTERM, again whenever it ends
    python3 on_node.py busy                        print how many requests (of a job, or several) run on this node
    python3 on_node.py drain FOLDER SECONDS        tell the engine that the node will be taken away, and wait until nothing runs, or so long; print how much does

It is sent as a file, so it imports nothing of this package.
"""

from __future__ import annotations

import configparser
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from collections.abc import Iterable, Iterator

RUN, HELD, LAST = "toil-run-", "lock", "last"
"""How the folder of a host of requests begins, the file in it that the host keeps open and writes into how many it has, and what
stands after the number once it knows that the node goes and takes no more."""
GOING = "going"
"""The file in the cluster's folder that says that the node will be taken away: its engine is not started again."""
HEED = 30.0
"""Seconds that an engine may take to have its hosts know that."""
IN_MODIFY = 0x2
GRACE = 20.0
"""Seconds that an engine may take to end when it is asked to."""
SCRIPT = """\
#!{python}
import sys
from {module} import {first}
sys.exit({attribute}())
"""


def install(archive: str, folder: str) -> None:
    """Make the environment of an archive in a folder; what says that it is whole is written last."""
    whole = os.path.join(folder, ".whole")
    os.makedirs(os.path.dirname(folder), mode=0o755, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(whole):
            return
        shutil.rmtree(folder, ignore_errors=True)
        venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
        python = os.path.join(folder, "bin", "python")
        packages = os.path.join(folder, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
        requirements = unpack(archive, folder, packages, python)
        if requirements:
            pip = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements], check=False)
            if pip.returncode:
                sys.exit(f"pip cannot install the Python requirements (exit code {pip.returncode})")
        write(whole, b"", 0o644)


def unpack(archive: str, folder: str, packages: str, python: str) -> str:
    """Unpack the wheels of an archive; the path of a requirements file that is in it, or empty."""
    requirements = ""
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is None:
                continue
            if member.name == "bundle.json":
                continue
            if member.name == "requirements.txt":
                requirements = os.path.join(folder, member.name)
                with open(requirements, "wb") as copy:
                    shutil.copyfileobj(file, copy)
            else:
                with zipfile.ZipFile(file) as wheel:
                    unpack_wheel(wheel, folder, packages, python)
    return requirements


def unpack_wheel(wheel: zipfile.ZipFile, folder: str, packages: str, python: str) -> None:
    """Put the files of a wheel, and the scripts of its entry points, where they belong."""
    for info in wheel.infolist():
        parts = info.filename.split("/")
        if parts[0].endswith(".data") and parts[1] == "scripts":
            data = wheel.read(info)
            if data.startswith(b"#!") and b"python" in data.split(b"\n", 1)[0]:
                data = b"#!" + os.fsencode(python) + b"\n" + data.split(b"\n", 1)[1]
            write(os.path.join(folder, "bin", parts[-1]), data, 0o755)
        elif parts[0].endswith(".data") and parts[1] in ("purelib", "platlib", "data") and ".." not in parts and not info.is_dir():
            place = folder if parts[1] == "data" else packages
            write(os.path.join(place, *parts[2:]), wheel.read(info), stat.S_IMODE(info.external_attr >> 16) or 0o644)
        elif ".." not in parts and not info.is_dir():
            write(os.path.join(packages, *parts), wheel.read(info), stat.S_IMODE(info.external_attr >> 16) or 0o644)
        if parts[-1] == "entry_points.txt" and parts[0].endswith(".dist-info"):
            scripts(wheel.read(info).decode(), folder, python)


def scripts(text: str, folder: str, python: str) -> None:
    """Write a program for each console script."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    parser.read_string(text)
    for name, target in parser["console_scripts"].items() if parser.has_section("console_scripts") else ():
        module, _, attribute = target.split("[")[0].strip().partition(":")
        text = SCRIPT.format(python=python, module=module, first=attribute.split(".")[0], attribute=attribute)
        write(os.path.join(folder, "bin", name), text.encode(), 0o755)


def write(path: str, data: bytes, mode: int) -> None:
    """Write a file, with the folders above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def keep(folder: str) -> None:
    """Run the engine's command in the foreground, again after any end but ours, unless the node goes; one keeper for a folder."""
    lock = os.open(os.path.join(folder, "engine.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    with open(os.path.join(folder, "engine.json")) as file:
        engine = json.load(file)
    asked, keeper = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}, os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, asked | {signal.SIGCHLD})
    pause = 1.0
    going = os.path.join(folder, GOING)
    if os.path.exists(going):  # who wrote it told an earlier engine
        os.unlink(going)
    while True:
        started = time.monotonic()
        environment = {**os.environ, **engine["environment"]}
        process = subprocess.Popen(engine["command"], env=environment, start_new_session=True, preexec_fn=lambda: end_with_parent(keeper))  # noqa: PLW1509  no threads here
        if os.path.exists(going):  # since it was looked for, and this engine was not told
            end(process)
        while process.poll() is None:
            if signal.sigwait(asked | {signal.SIGCHLD}) in asked:
                end(process)
                return
        if os.path.exists(going):
            say(f"the engine ended with code {process.returncode}; it is not started again, as this node goes")
            signal.sigwait(asked)
            return
        say(f"the engine ended with code {process.returncode}; it is started again in {pause:.0f} s")
        if signal.sigtimedwait(asked, pause):
            return
        pause = 1.0 if time.monotonic() - started > 60 else min(2 * pause, 30.0)


def hosts() -> dict[str, int]:
    """Of what runs requests for leaders as this node's user, the file in which it writes how many it has, and its process, which may have several."""
    home, found = os.fsencode(f"HOME={os.environ['HOME']}"), {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if home not in file.read().split(b"\0"):
                    continue
            opened = list(opened_by(name))
        except OSError:  # it has ended, or is somebody else's
            continue
        for path in opened:
            folder, _, base = path.rpartition("/")
            if base == HELD and os.path.basename(folder).startswith(RUN):
                found[path] = int(name)
    return found


def opened_by(pid: str) -> Iterator[str]:
    """The files that a process has open."""
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            yield os.readlink(entry.path)
        except FileNotFoundError:  # this one was closed meanwhile
            continue


def requests(paths: Iterable[str]) -> int:
    """How many requests have begun and not ended; a request may be several jobs, and counts between two of them too."""
    return sum(int(said[0]) for said in map(told, paths) if said)


def told(path: str) -> list[str]:
    """What a host says of its requests; nothing when it has said nothing yet, or has ended."""
    try:
        with open(path) as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def drain(folder: str, seconds: float) -> int:
    """Have nothing more started on this node, and wait until no request is left, or the time is over; how many are.

    While a host of the engine does not know of it, it may still begin what was sent to it.
    """
    begun = time.monotonic()
    write(os.path.join(folder, GOING), b"", 0o600)  # before the engine is told: another would not know
    with open(os.path.join(folder, "engine.lock")) as file:
        keeper = file.read()
    with open(f"/proc/{keeper}/task/{keeper}/children") as file:
        engines = [int(engine) for engine in file.read().split()]
    for engine in engines:
        try:
            os.kill(engine, signal.SIGUSR1)
        except ProcessLookupError:  # it ended since; its keeper starts no other
            continue
    libc = ctypes.CDLL(None, use_errno=True)
    while True:
        changed = libc.inotify_init1(os.O_CLOEXEC)
        there = hosts()
        for path in there:
            libc.inotify_add_watch(changed, os.fsencode(path), IN_MODIFY)
        ended = select.poll()
        ended.register(changed, select.POLLIN)
        opened = watch_ends(set(there.values()), ended)
        unaware = any(LAST not in told(path) for path, pid in there.items() if belongs(pid, engines))
        running = requests(there)  # looked at last: who knew of it begins nothing more
        left = begun + (seconds if running else min(seconds, HEED)) - time.monotonic()
        waits = (running or unaware) and left > 0
        if waits:
            ended.poll(1000 * left)
        for each in (changed, *opened):
            os.close(each)
        if not waits:
            return running


def belongs(pid: int, engines: list[int]) -> bool:
    """Whether a process is of an engine's session, and lives."""
    try:
        return os.getsid(pid) in engines
    except ProcessLookupError:
        return False


def watch_ends(pids: Iterable[int], ended: select.poll) -> list[int]:
    """Have a poll return when one of the processes ends; what is to be closed afterwards."""
    opened = []
    for pid in pids:
        try:
            opened.append(os.pidfd_open(pid))
        except ProcessLookupError:
            continue
        ended.register(opened[-1], select.POLLIN)
    return opened


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the engine to end, and make it."""
    for number, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


def end_with_parent(keeper: int) -> None:
    """In a child: end when the keeper does, with all signals as usual."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if os.getppid() != keeper:  # it ended before it could be said what then
        os.kill(os.getpid(), signal.SIGTERM)


def say(text: str) -> None:
    """A line for the log."""
    print(time.strftime("%Y-%m-%d %H:%M:%S"), text, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "install":
        install(*sys.argv[2:])
    elif sys.argv[1] == "busy":
        print(requests(hosts()))
    elif sys.argv[1] == "drain":
        print(drain(sys.argv[2], float(sys.argv[3])))
    else:
        keep(*sys.argv[2:])
