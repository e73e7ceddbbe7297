"""Opening the job store in a worker."""

from __future__ import annotations

from toil_core.job_store import CanWarm, JobStore
from toil_core.locators import parse_locator
from toil_core.options import Config
from toil_core.plugins import driver, hooks, open_job_store
from toil_core.wire.work import Setup, decode_setup


def open_for(locator: str, setup: Setup) -> JobStore:
    """The job store, with the run's options."""
    return open_job_store(locator, Config.from_dict(setup.options))


def warm(locator: str, setup: Setup) -> None:
    """Import what an attempt needs that uses the job store, for those that are forked from here."""
    import toil_core.worker.cache
    import toil_core.workflow.files  # noqa: F401

    config = Config.from_dict(setup.options)
    hooks(config)
    name, rest = parse_locator(locator)
    opener = driver("job_store", name, config.plugins)
    if isinstance(opener, CanWarm):
        opener.warm(rest, config)


def open_with_setup(locator: str, key: str, config: Config) -> tuple[JobStore, Setup]:
    """The job store and the setup that lies in it.

    Args:
        locator: The store.
        key: The setup's key.
        config: The options to open the store with until those of the run are known.
    """
    store = open_job_store(locator, config)
    try:
        with store.read(key) as stream:
            setup = decode_setup(stream.read())
    except BaseException:
        store.close()
        raise
    if not setup.options:
        return store, setup
    store.close()
    return open_for(locator, setup), setup
