"""Opening the job store in a worker."""

from __future__ import annotations

from toil_core.job_store import JobStore
from toil_core.options import Config
from toil_core.plugins import open_job_store
from toil_core.wire.work import Setup, decode_setup


def open_for(locator: str, setup: Setup) -> JobStore:
    """The job store, with the run's options."""
    return open_job_store(locator, Config.from_dict(setup.options))


def open_with_setup(locator: str, key: str, config: Config) -> tuple[JobStore, Setup]:
    """The job store and the setup that lies in it.

    Args:
        locator: The store.
        key: The setup's key.
        config: The options to open the store with until those of the run are known.
    """
    store = open_job_store(locator, config)
    with store.read(key) as stream:
        setup = decode_setup(stream.read())
    if not setup.options:
        return store, setup
    store.close()
    return open_for(locator, setup), setup
