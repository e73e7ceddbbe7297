"""Having the user's code, and what it needs installed, at hand on this machine."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import msgspec

from toil_core.errors import CorruptBlob
from toil_core.job_store import JobStore
from toil_core.options import Config
from toil_core.wire import keys
from toil_core.wire.reread import reread
from toil_core.wire.work import Code, Setup
from toil_core.worker.shelf import Shelf
from toil_core.worker.stores import open_with_setup


def open_deployed(locator: str, key: str, config: Config, run: Path) -> tuple[JobStore, Setup, Shelf | None]:
    """The job store and the setup that lies in it, with the user's code at hand on this machine.

    Args:
        locator: The store.
        key: The setup's key.
        config: The options to open the store with until those of the run are known.
        run: The host's folder; what is deployed lies beside it.

    Returns:
        The store, the setup, and what keeps the code where it is until it is closed.
    """
    store, setup = open_with_setup(locator, key, config)
    if setup.code is None and not setup.python_requirements:
        return store, setup, None
    shelf: Shelf | None = None
    try:
        shelf = Shelf(run.parent)
        return store, install(store, setup, shelf, str(run)), shelf
    except BaseException:
        if shelf is not None:
            shelf.close()
        store.close()
        raise


def install(store: JobStore, setup: Setup, shelf: Shelf, mark: str) -> Setup:
    """Fetch what the setup speaks of, unless it is here already.

    The deployed code comes first on the import path, then what was installed for the workflow, then
    what this machine's Python has: so an older version that is installed here is never used.

    Args:
        store: The job store.
        setup: What workers must know.
        shelf: Where it is kept; it stays while the shelf is open.
        mark: The host's folder; installers belong to it, so that they end with the host.

    Returns:
        The setup with script and import path as they are here.

    Raises:
        CorruptBlob: The code is not what was stored.
        CannotInstall: A requirement cannot be met.
    """
    script, path = setup.script, list(setup.path)
    if setup.code is not None:
        code = setup.code
        folder = shelf.get(f"code-{code.digest}", lambda new, _lock: unpack(store, code, new))
        script = str(folder / code.script) if code.script else ""
        path = [str(folder / place) for place in code.path]
    if setup.python_requirements:
        from toil_core.worker.python_requirements import folder_name, missing, pip_install

        if missing(setup.python_requirements):
            lines = setup.python_requirements
            path.append(str(shelf.get(folder_name(lines), lambda new, lock: pip_install(lines, new, lock, mark))))
    return msgspec.structs.replace(setup, script=script, path=tuple(path))


def unpack(store: JobStore, code: Code, folder: Path) -> None:
    """Read the archive, check it, and write its files below the folder, where none may be changed later.

    Raises:
        CorruptBlob: It is not what was stored.
    """
    import hashlib
    from io import BytesIO
    from zipfile import ZipFile

    key = keys.code(code.digest)

    def read() -> bytes:
        with store.read(key) as stream:
            data = stream.read()
        if hashlib.sha256(data).hexdigest() != code.digest:
            raise CorruptBlob(key, "the workflow's code is not what was stored")
        return data

    data = reread(read)
    with ZipFile(BytesIO(data)) as archive:
        for info in archive.infolist():
            name = PurePosixPath(info.filename)
            if name.is_absolute() or ".." in name.parts:
                raise CorruptBlob(key, f"the workflow's code holds a file with the path {info.filename!r}")
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(info))
            os.chmod(path, (info.external_attr >> 16) & 0o555)
    for place in code.path:  # a folder of which nothing was taken
        (folder / place).mkdir(parents=True, exist_ok=True)
