"""What jobs of each kind were measured to use, kept for later runs; and telling the user where a request is wrong.

A profile is a small JSON document: of each job name the count of attempts, and of memory, disk and
time the peak and the mean. It lies in the job store under `learned`, and `--save-profile` writes it
to a file.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import msgspec

from toil_core.batch_system import Reason, Requirement, Usage
from toil_core.errors import BadOption, NoSuchKey, ToilError
from toil_core.events import AttemptFailed, Event, JobDone
from toil_core.job_store import JobStore
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.wire import keys
from toil_core.wire.reread import UNREADABLE
from toil_core.wire.work import Estimate

_log = logging.getLogger("toil.leader")
_LEAST = 64 << 20
"""No estimate of memory or disk is smaller: short attempts are not measured well."""
_LEAST_SECONDS = 60.0
_NEAR = 0.9
_OFTEN = 2000
"""After so many jobs what was learnt is stored, so that a leader that is killed does not take it all along."""
_MOST_NAMES = 10_000
_TELLING = (Reason.OUT_OF_MEMORY, Reason.OVER_TIME, Reason.OUT_OF_DISK)


class Measured(msgspec.Struct):
    """What jobs of one name used.

    Args:
        count: How many attempts were measured.
        memory: Bytes of memory at the highest peak.
        mean_memory: Mean of the peaks.
        disk: Bytes of disk at the highest peak that was seen.
        mean_disk: Mean of the peaks.
        seconds: The longest wall time.
        mean_seconds: Mean wall time.
    """

    count: int = 0
    memory: int = 0
    mean_memory: float = 0.0
    disk: int = 0
    mean_disk: float = 0.0
    seconds: float = 0.0
    mean_seconds: float = 0.0

    def add(self, usage: Usage) -> None:
        """Take in one more attempt."""
        self.count += 1
        share = 1 / self.count
        self.mean_memory += (usage.memory - self.mean_memory) * share
        self.mean_disk += (usage.disk - self.mean_disk) * share
        self.mean_seconds += (usage.wall - self.mean_seconds) * share
        self.at_least(usage)

    def at_least(self, usage: Usage) -> None:
        """Take in an attempt that was ended for using too much: its peaks count, but it is no measure of the mean."""
        self.memory = max(self.memory, usage.memory)
        self.disk = max(self.disk, usage.disk)
        self.seconds = max(self.seconds, usage.wall)

    def estimate(self, margin: float) -> Estimate:
        """What a job of the kind should be given.

        Args:
            margin: The share that is added to the peaks.
        """
        memory, disk = (max(_LEAST, int(peak * (1 + margin))) for peak in (self.memory, self.disk))
        return Estimate(memory, disk, max(_LEAST_SECONDS, self.seconds * (1 + margin)))


class Profile(msgspec.Struct):
    """What is known of all kinds.

    Args:
        profile: The version of this format.
        jobs: By job name.
    """

    profile: int = 1
    jobs: dict[str, Measured] = {}


class Learner:
    """Hears every event, and learns what jobs use.

    Args:
        profile: What is known from before. Of more than 10,000 names those that come first are learnt.
        store: Where to keep it.
    """

    def __init__(self, profile: Profile, store: JobStore) -> None:
        self.profile = profile
        self._store = store
        self._new = 0
        self._told: set[tuple[str, str]] = set()

    def __call__(self, event: Event) -> None:
        """Take an event in."""
        if isinstance(event, JobDone):
            self._of(event.name).add(event.usage)
            self._new += 1
            if self._new >= _OFTEN:
                self.save()
            if event.requirement is not None:
                self._compare(event.job, event.name, event.usage, event.requirement)
        elif isinstance(event, AttemptFailed) and event.usage is not None and event.reason in _TELLING:
            self._of(event.name).at_least(event.usage)

    def save(self, path: str | None = None) -> None:
        """Keep what was learnt in the job store, and in a file if one is named; a file that cannot be written is a warning."""
        if not self.profile.jobs:
            return
        data = msgspec.json.format(msgspec.json.encode(self.profile), indent=1)
        self._store.write(keys.LEARNED, BytesIO(data))
        self._new = 0
        if path:
            try:
                Path(path).write_bytes(data)
            except OSError as error:
                _log.warning("--save-profile %s: %s", path, error.strerror or error)

    def _of(self, name: str) -> Measured:
        found = self.profile.jobs.get(name)
        if found is None:
            found = Measured()
            if len(self.profile.jobs) < _MOST_NAMES:
                self.profile.jobs[name] = found
        return found

    def _compare(self, job: str, name: str, usage: Usage, given: Requirement) -> None:
        if usage.disk > given.disk:
            self._tell(job, name, "disk", usage.disk, given.disk, "more than the")
        if given.memory and usage.memory > _NEAR * given.memory:
            self._tell(job, name, "memory", usage.memory, given.memory, "more than the" if usage.memory > given.memory else "nearly all of the")

    def _tell(self, job: str, name: str, what: str, used: int, given: int, how: str) -> None:
        if (name, what) in self._told:
            return
        self._told.add((name, what))
        from toil_core.monitor.text import about

        _log.warning("%s %s used %s of %s, %s %s that it had asked for (said once for each kind of job)", name, job, about(used), what, how, about(given))


def read(store: JobStore) -> Profile:
    """What a job store says of its runs; an empty profile when it says nothing."""
    try:
        with store.read(keys.LEARNED) as stream:
            return msgspec.json.decode(stream.read(), type=Profile)
    except (NoSuchKey, *UNREADABLE):
        return Profile()


def estimates(config: Config) -> Mapping[str, Estimate]:
    """What `--estimate-from` says that jobs should be given, by name; nothing when it was not given.

    Raises:
        BadOption: Nothing was measured there, or it cannot be read.
    """
    options = config[EngineOptions]
    if options.estimate_from is None:
        return {}
    profile = _from(options.estimate_from, config)
    return {name: measured.estimate(options.estimate_margin) for name, measured in profile.jobs.items()}


def _from(place: str, config: Config) -> Profile:
    path = Path(place)
    if path.is_file():
        try:
            return msgspec.json.decode(path.read_bytes(), type=Profile)
        except UNREADABLE as error:
            raise BadOption(f"--estimate-from {place}: this is no file that --save-profile wrote ({error})") from None
    from toil_core.locators import canonical_locator
    from toil_core.plugins import open_job_store

    try:
        with open_job_store(canonical_locator(place), config) as store:
            profile = read(store)
    except ToilError as error:
        raise BadOption(f"--estimate-from {place}: {error}") from None
    if not profile.jobs:
        raise BadOption(f"--estimate-from {place}: there is neither such a file nor a run in such a job store that has ended")
    return profile
