"""The protocol of epochs and fences as a model: what leaders, workers and the job store can do, one store operation at a time.

A request has one job and one commit here. Leaders stop for any time between two operations, or for ever: a crash is nothing
else to those who are left. Workers commit whenever they like, or never, also those that their leader believes dead; there are
as many as there are requests, so that what fewer of them can do is among what is explored. What a leader does without the
store, such as issuing a job that is ready, it does at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, cast

NONE, COMMIT, VOID = 0, 1, 2
"""What lies where an attempt's commit would be."""
NOT_YET, SINCE, BEFORE, DOOMED, REMOVED = range(5)
"""Whether a leader knows a blob as garbage: no; since its last checkpoint; since the one before; it is about to be removed; it was."""
START, CLAIM, BURY, LOST, READ, LIST, FETCH, FIRST, ORPHANS, DELETE, RUN, CLOSE, FINISHED, REPLACED, REFUSED = range(15)
"""Where a leader is on its way; `LOST`: a checkpoint has been written where it is about to put its tombstone."""
_OVER = (FINISHED, REPLACED, REFUSED)
_NOBODY = -1


class Broken(Exception):
    """An invariant does not hold."""


@dataclass(frozen=True)
class Rules:
    """The protocol; each rule can be broken, to see that it is needed.

    Args:
        create_commits: A worker's commit never replaces what is there.
        create_checkpoints: A checkpoint never replaces what is there.
        create_leaders: One leader only can claim an epoch.
        void_first: A request is voided before its job is issued again.
        believe_commits: Where a commit is found in the place of a void, it counts.
        bury_first: A new leader keeps its predecessor from writing checkpoints before it reads any.
        checkpoint_first: A blob is removed only after a checkpoint that does not need it.
        keep_one_longer: A blob outlives the first such checkpoint, so that the one before can serve when that is damaged.
        read_open: A new leader reads the commits of requests that were open at the checkpoint.
        ignore_settled: A new leader ignores those that were not, and are older than the checkpoint.
        fold_at_once: A new leader writes a checkpoint before it issues anything.
        keep_needed: What values lie in is kept as long as they are needed.
    """

    create_commits: bool = True
    create_checkpoints: bool = True
    create_leaders: bool = True
    void_first: bool = True
    believe_commits: bool = True
    bury_first: bool = True
    checkpoint_first: bool = True
    keep_one_longer: bool = True
    read_open: bool = True
    ignore_settled: bool = True
    fold_at_once: bool = True
    keep_needed: bool = True


@dataclass(frozen=True)
class Bounds:
    """What is explored.

    Args:
        after: For each job, which must be done before it. The first is the root.
        needs: For each job, whose values it is given.
        alike: Jobs that can change places.
        losses: How often a leader believes that a request is lost that has no commit yet.
        damage: Whether the first leader's last checkpoint may be damaged, so that the one before has to do.
    """

    after: tuple[frozenset[int], ...]
    needs: tuple[frozenset[int], ...]
    alike: slice
    losses: int = 2
    damage: bool = False


class Attempt(NamedTuple):
    """One request: its blob, whether its worker may still make a commit, and whether its files are there."""

    blob: int = NONE
    live: bool = True
    file: bool = True


class View(NamedTuple):
    """What one leader thinks of a job: which attempt (epoch, number) counts, whether the last one is open, and what is garbage."""

    done: tuple[int, int] | None = None
    open: bool = False
    garbage: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())


class Saved(NamedTuple):
    """What a checkpoint says of a job: which attempt counts, how many of its epoch there were, whether the last was open."""

    done: tuple[int, int] | None
    issued: int
    open: bool


class Job(NamedTuple):
    """All that is known of a job: attempts, views and checkpoints by epoch; the attempts that the second leader is to read; and what
    the first leader's checkpoint before the last says, where that matters."""

    attempts: tuple[tuple[Attempt, ...], tuple[Attempt, ...]] = ((), ())
    views: tuple[View | None, View | None] = (None, None)
    saved: tuple[Saved | None, Saved | None] = (None, None)
    wanted: tuple[int, ...] = ()
    former: Saved | None = None


class Leader(NamedTuple):
    """A leader: the epoch that it claims or holds, where it is, and what its checkpoint lets it remove."""

    epoch: int = 0
    at: int = START


class State(NamedTuple):
    """Everything; `folded` is whether the second leader has written a checkpoint."""

    jobs: tuple[Job, ...]
    leaders: tuple[Leader, Leader] = (Leader(), Leader())
    claimed: int = 0
    buried: bool = False
    folded: bool = False
    losses: int = 0


Key = tuple[object, ...]
"""A state, with numbers for what its jobs are."""
Action = tuple[object, ...]
"""What happens, and to what: the name, then the epoch, the job and the attempt as far as they matter."""


class Protocol:
    """Says what can happen next.

    Args:
        bounds: What is explored.
        rules: The protocol.
    """

    def __init__(self, bounds: Bounds, rules: Rules | None = None) -> None:
        self.bounds = bounds
        self.rules = rules or Rules()
        count = len(bounds.after)
        self.start = State(tuple(Job() for _ in range(count)))
        self._numbers: dict[Job, int] = {}
        self._known: dict[int, tuple[int, Job]] = {}
        self._objects: list[Job] = []
        self._users = [frozenset(user for user in range(count) if job in bounds.needs[user]) for job in range(count)]

    def canonical(self, state: State) -> tuple[Key, State]:
        """The one that stands for all states which differ only in which job, or which leader, is which; and what tells it from others."""
        numbered, alike = [self._numbered(job) for job in state.jobs], self.bounds.alike
        numbered[alike] = sorted(numbered[alike], key=_number)
        jobs = tuple(job for _, job in numbered)
        state = state._replace(jobs=jobs, leaders=tuple(sorted(state.leaders)))  # type: ignore[arg-type]
        return (*map(_number, numbered), *state[1:]), state

    def _numbered(self, job: Job) -> tuple[int, Job]:
        """A number that tells the job from others, and the one object for all that are equal: most are known by it, without a look inside."""
        found = self._known.get(id(job))
        if found is None:
            number = self._numbers.setdefault(job, len(self._numbers))
            if number == len(self._known):
                self._known[id(job)] = number, job
                self._objects.append(job)
            found = number, self._objects[number]
        return found

    def late(self, state: State, action: Action) -> bool:
        """Whether it is a commit that comes too late to change anything: all is as if its worker had ended without one."""
        if action[0] != "commit" or not self.rules.create_commits:
            return False
        _, epoch, job, number = cast("tuple[str, int, int, int]", action)
        return state.jobs[job].attempts[epoch - 1][number].blob != NONE

    def next(self, state: State) -> Iterator[tuple[Action, State]]:
        """Every action that is possible, and what it leads to.

        Raises:
            Broken: An action does what must not be.
        """
        for number, leader in enumerate(state.leaders):
            if leader.at not in _OVER:
                yield from self._lead(state, number, leader)
        for job, facts in enumerate(state.jobs):
            for epoch in (1, 2):
                for number, attempt in enumerate(facts.attempts[epoch - 1]):
                    if attempt.live:
                        wins = attempt.blob == NONE or not self.rules.create_commits
                        made = attempt._replace(blob=COMMIT if wins else attempt.blob, live=False)
                        yield ("commit", epoch, job, number), _with_attempt(state, job, epoch, number, made)

    # What leaders do

    def _lead(self, state: State, number: int, leader: Leader) -> Iterator[tuple[Action, State]]:
        epoch = leader.epoch
        match leader.at:
            case 0:  # START
                if state.claimed < 2:
                    yield ("list leaders", number), _with_leader(state, number, Leader(state.claimed + 1, CLAIM))
            case 1:  # CLAIM
                yield ("claim", epoch, number), self._claim(state, number, leader)
            case 2 | 3:  # BURY, LOST
                moved = leader._replace(at=BURY if leader.at == LOST else READ if self.rules.bury_first else FIRST)
                there = _with_leader(state, number, moved)
                yield ("bury", epoch), there if leader.at == LOST else there._replace(buried=True)
            case 4:  # READ
                yield ("read checkpoint", epoch), _with_leader(self._read(state), number, leader._replace(at=LIST))
            case 5:  # LIST
                yield ("list commits", epoch), _with_leader(self._list(state), number, leader._replace(at=FETCH))
            case 6:  # FETCH
                yield ("read commits", epoch), self._loaded(self._fetch(state), number, leader)
            case 7:  # FIRST
                yield ("checkpoint", epoch), self._fold(state, number, leader, then=ORPHANS)
            case 8:  # ORPHANS
                swept = _sweep(self._remove(state, 2))
                yield ("sweep", epoch), self._issue(_with_leader(swept, number, leader._replace(at=RUN)), 2)
            case 9 | 11:  # DELETE, CLOSE
                moved = leader._replace(at=RUN if leader.at == DELETE else FINISHED)
                yield ("delete", epoch), _with_leader(self._remove(state, epoch), number, moved)
            case 10:  # RUN
                yield from self._run(state, number, leader)

    def _claim(self, state: State, number: int, leader: Leader) -> State:
        epoch = leader.epoch
        if state.claimed >= epoch:
            if not self.rules.create_leaders:
                raise Broken(f"two leaders hold epoch {epoch}")
            return _with_leader(state, number, Leader(0, REFUSED))
        state = state._replace(claimed=epoch)
        if epoch == 2:
            return _with_leader(state, number, leader._replace(at=BURY if self.rules.bury_first else READ))
        jobs = tuple(job._replace(views=(View(), None)) for job in state.jobs)
        return self._issue(_with_leader(state._replace(jobs=jobs), number, leader._replace(at=RUN)), 1)

    def _read(self, state: State) -> State:
        """The second leader reads the first one's last checkpoint; what it says is kept as its own until it folds."""
        jobs = [job._replace(saved=(job.saved[0], job.saved[0] or Saved(None, 0, False))) for job in state.jobs]
        return state._replace(jobs=tuple(jobs))

    def _list(self, state: State) -> State:
        """Of the commits that are there, those that count are to be read; the others are garbage."""
        jobs = []
        done = [job.saved[1].done if job.saved[1] else None for job in state.jobs]
        for at, job in enumerate(state.jobs):
            saved = job.saved[1]
            assert saved is not None
            wanted = [k for k, attempt in enumerate(job.attempts[0]) if attempt.blob != NONE and self._counts(saved, k)]
            needed = saved.done[1] if saved.done and self._needed(at, done) else _NOBODY
            stale = tuple(
                NOT_YET if k in wanted or k == needed else BEFORE if attempt.blob != NONE else REMOVED
                for k, attempt in enumerate(job.attempts[0])
            )  # fmt: skip
            jobs.append(job._replace(wanted=tuple(wanted), views=(job.views[0], View(saved.done, False, (stale, ())))))
        return state._replace(jobs=tuple(jobs))

    def _counts(self, saved: Saved, attempt: int) -> bool:
        later = attempt >= saved.issued or not self.rules.ignore_settled
        return later or (saved.open and attempt == saved.issued - 1 and self.rules.read_open)

    def _fetch(self, state: State) -> State:
        """The commits are read, and taken in."""
        jobs = []
        for job in state.jobs:
            view = job.views[1]
            assert view is not None
            done, garbage = view.done, list(view.garbage[0])
            garbage += [NOT_YET] * (len(job.attempts[0]) - len(garbage))  # whose files there are is looked up now
            for number in job.wanted:
                blob = job.attempts[0][number].blob
                if blob == NONE:
                    raise Broken("a commit that is to be read was removed")
                if blob == COMMIT and done is None:
                    done = (1, number)
                else:
                    garbage[number] = SINCE
            jobs.append(job._replace(views=(job.views[0], View(done, False, (tuple(garbage), ()))), wanted=()))
        return self._collect(state._replace(jobs=tuple(jobs)), 2)

    def _loaded(self, state: State, number: int, leader: Leader) -> State:
        if self.rules.fold_at_once:
            return _with_leader(state, number, leader._replace(at=FIRST if self.rules.bury_first else BURY))
        return self._issue(_with_leader(state, number, leader._replace(at=RUN)), 2)

    def _run(self, state: State, number: int, leader: Leader) -> Iterator[tuple[Action, State]]:
        epoch = leader.epoch
        for at, job in enumerate(state.jobs):
            view = job.views[epoch - 1]
            assert view is not None
            if not view.open:
                continue
            last = len(job.attempts[epoch - 1]) - 1
            attempt = job.attempts[epoch - 1][last]
            if attempt.blob == COMMIT:
                yield ("hear", epoch, at, last), self._hear(state, epoch, at, last)
                yield ("lose", epoch, at, last), self._lose(state, epoch, at, last)
            elif state.losses < self.bounds.losses or attempt.blob == VOID:
                yield ("lose", epoch, at, last), self._lose(state._replace(losses=state.losses + (attempt.blob == NONE)), epoch, at, last)
        complete = all(job.views[epoch - 1].done for job in state.jobs)  # type: ignore[union-attr]
        if complete:
            yield ("finish", epoch), self._fold(state, number, leader, then=CLOSE)
        elif any(self._changed(job, epoch) for job in state.jobs):
            yield ("checkpoint", epoch), self._fold(state, number, leader, then=RUN)

    def _changed(self, job: Job, epoch: int) -> bool:
        view = job.views[epoch - 1]
        assert view is not None
        known = [*view.garbage[0], *view.garbage[1]]
        return self._as_saved(job, epoch) != (job.saved[epoch - 1] or Saved(None, 0, False)) or SINCE in known or BEFORE in known

    def _hear(self, state: State, epoch: int, at: int, number: int) -> State:
        """News of a commit: it counts."""
        state = _with_view(state, at, epoch, done=(epoch, number), open=False)
        return self._issue(self._collect(state, epoch), epoch)

    def _lose(self, state: State, epoch: int, at: int, number: int) -> State:
        """The request is believed lost: it is voided, and its job issued again; or its commit is found."""
        attempt = state.jobs[at].attempts[epoch - 1][number]
        if attempt.blob == COMMIT and self.rules.void_first and self.rules.believe_commits:
            return self._hear(state, epoch, at, number)
        if self.rules.void_first and attempt.blob == NONE:
            state = _with_attempt(state, at, epoch, number, attempt._replace(blob=VOID))
            state = _with_garbage(state, at, epoch, (epoch, number), SINCE)
        if state.claimed > epoch:  # a leader looks whether it was replaced before it tells of a failure
            others = [leader._replace(at=REPLACED) if leader.epoch == epoch else leader for leader in state.leaders]
            return state._replace(leaders=tuple(others))  # type: ignore[arg-type]
        return self._issue(_with_view(state, at, epoch, open=False), epoch)

    def _as_saved(self, job: Job, epoch: int) -> Saved:
        view = job.views[epoch - 1]
        assert view is not None
        return Saved(view.done, len(job.attempts[epoch - 1]), view.open)

    def _fold(self, state: State, number: int, leader: Leader, then: int) -> State:
        """A checkpoint is created, unless a tombstone is in its place; what is removed for it is so by another operation."""
        epoch = leader.epoch
        moved = self._moved(state, epoch)
        if not self.rules.checkpoint_first:  # whatever is superfluous goes at once
            state = moved = self._remove(self._moved(moved, epoch), epoch)
        if epoch == 1 and state.buried and self.rules.create_checkpoints:
            return _with_leader(state, number, leader._replace(at=REPLACED))
        if epoch == 1 and state.folded:
            raise Broken("the leader of epoch 1 writes a checkpoint after the one of epoch 2 has")
        state = moved._replace(folded=state.folded or epoch == 2)
        jobs = []
        for job in state.jobs:
            saved = self._as_saved(job, epoch)
            former = job.saved[0] if epoch == 1 and self.bounds.damage else job.former
            jobs.append(job._replace(saved=(saved, job.saved[1]) if epoch == 1 else (job.saved[0], saved), former=former))
        others = [other._replace(at=LOST) if epoch == 1 and other.at == BURY else other for other in state.leaders]
        state = state._replace(jobs=tuple(jobs), leaders=tuple(others))  # type: ignore[arg-type]
        if then != ORPHANS and not any(pending(job, epoch) for job in state.jobs):
            then = FINISHED if then == CLOSE else RUN
        elif then == RUN:
            then = DELETE
        return _with_leader(state, number, leader._replace(at=then))

    def _moved(self, state: State, epoch: int) -> State:
        """What was garbage at the checkpoint before may go; what is now, may go with the next."""
        step = {BEFORE: DOOMED, SINCE: BEFORE if self.rules.keep_one_longer else DOOMED}
        jobs = []
        for job in state.jobs:
            view = job.views[epoch - 1]
            assert view is not None
            known = tuple(tuple(step.get(each, each) for each in of) for of in view.garbage)
            jobs.append(_job_with_view(job, epoch, view._replace(garbage=known)))  # type: ignore[arg-type]
        return state._replace(jobs=tuple(jobs))

    def _remove(self, state: State, epoch: int) -> State:
        """Blobs that may go are removed, and the files of attempts that were voided before the checkpoint."""
        jobs = []
        for job in state.jobs:
            if not pending(job, epoch):
                jobs.append(job)
                continue
            attempts = [list(of) for of in job.attempts]
            known = [list(of) for of in _garbage(job, epoch)]
            for of, number, step in _steps(job, epoch):
                attempt = attempts[of][number]
                if step in (BEFORE, DOOMED) and attempt.blob == VOID and of == epoch - 1:
                    attempt = attempt._replace(file=False)
                if step == DOOMED:
                    attempt = attempt._replace(blob=NONE)
                    known[of][number] = REMOVED
                attempts[of][number] = attempt
            job = job._replace(attempts=(tuple(attempts[0]), tuple(attempts[1])))
            jobs.append(_job_with_view(job, epoch, job.views[epoch - 1]._replace(garbage=(tuple(known[0]), tuple(known[1])))))  # type: ignore[union-attr]
        return state._replace(jobs=tuple(jobs))

    def _issue(self, state: State, epoch: int) -> State:
        """Every job that is ready goes out."""
        views = [job.views[epoch - 1] for job in state.jobs]
        for at, job in enumerate(state.jobs):
            view = views[at]
            assert view is not None
            if view.done or view.open or not all(views[other].done for other in self.bounds.after[at]):  # type: ignore[union-attr]
                continue
            attempts = list(job.attempts)
            attempts[epoch - 1] = (*attempts[epoch - 1], Attempt())
            known = list(view.garbage)
            known[epoch - 1] = (*known[epoch - 1], NOT_YET)
            job = _job_with_view(job, epoch, View(None, True, tuple(known)))._replace(attempts=tuple(attempts))  # type: ignore[arg-type]
            state = state._replace(jobs=(*state.jobs[:at], job, *state.jobs[at + 1 :]))
        return state

    def _collect(self, state: State, epoch: int) -> State:
        """Commits with values that nobody needs any more are garbage."""
        views = [job.views[epoch - 1] for job in state.jobs]
        for at, view in enumerate(views):
            assert view is not None
            if view.done is not None and not self._needed(at, [each.done for each in views]):  # type: ignore[union-attr]
                of, number = view.done
                if view.garbage[of - 1][number] == NOT_YET:
                    state = _with_garbage(state, at, epoch, view.done, SINCE)
        return state

    def _needed(self, at: int, done: list[tuple[int, int] | None], *, truly: bool = False) -> bool:
        """Whether anybody asks for the job's value: the root's is the outcome."""
        if not (truly or self.rules.keep_needed):
            return False
        return at == 0 or any(done[user] is None for user in self._users[at])

    # What must hold

    def restarted(self, state: State, *, former: bool = False) -> list[tuple[int, int] | None]:
        """What would count for a leader that starts now, from the last checkpoint or from the one before."""
        newest = 2 if state.folded else 1
        done = []
        for job in state.jobs:
            saved = (job.former if former else job.saved[newest - 1]) or Saved(None, 0, False)
            counts = saved.done
            for number, attempt in enumerate(job.attempts[newest - 1]):
                if counts is None and attempt.blob == COMMIT and self._counts(saved, number):
                    counts = (newest, number)
            done.append(counts)
        return done

    def check(self, state: State) -> None:
        """See whether all is well.

        Raises:
            Broken: It is not.
        """
        done = self.restarted(state)
        self._check_there(state, done, "a leader that starts now")
        if self.bounds.damage and not state.folded and self.restarted(state, former=True) != done:
            raise Broken("with the checkpoint before the last, something else counts")
        leading = self._leading(state)
        if leading:
            views = [job.views[leading - 1] for job in state.jobs]
            mine = [view.done for view in views if view is not None]
            for at, view in enumerate(views):
                assert view is not None
                if view.done is not None and done[at] != view.done:
                    raise Broken(f"attempt {view.done} at job {at} counts; after a restart it would be {done[at]}")
                if view.done is None and done[at] not in (None, (leading, len(state.jobs[at].attempts[leading - 1]) - 1)):
                    raise Broken(f"job {at} is tried again, although attempt {done[at]} counts after a restart")
            self._check_there(state, mine, f"the leader of epoch {leading}")
        finished = [leader.epoch for leader in state.leaders if leader.at == FINISHED]
        if len(finished) == 2 and any(job.views[0].done != job.views[1].done for job in state.jobs):  # type: ignore[union-attr]
            raise Broken("two leaders have finished with different outcomes")

    def _check_there(self, state: State, done: list[tuple[int, int] | None], who: str) -> None:
        for at, counts in enumerate(done):
            if counts is None:
                continue
            attempt = state.jobs[at].attempts[counts[0] - 1][counts[1]]
            if not attempt.file:
                raise Broken(f"the files of attempt {counts} at job {at} are gone, which counts for {who}")
            if attempt.blob != COMMIT and self._needed(at, done, truly=True):
                raise Broken(f"the value of job {at} is gone, which {who} needs")

    def _leading(self, state: State) -> int:
        """The epoch of the leader whose view counts: the newest that has one."""
        at = {leader.epoch: leader.at for leader in state.leaders if leader.epoch and leader.at > CLAIM}
        if FIRST < at.get(2, 0) <= FINISHED:
            return 2
        return 1 if DELETE <= at.get(1, 0) <= FINISHED and at.get(2, 0) <= LIST else 0

    def stuck(self, state: State) -> bool:
        """Whether the newest leader waits for what will never come; asked when nothing can happen any more."""
        newest = max(state.leaders)
        return newest.epoch > 0 and newest.at not in _OVER


def _number(numbered: tuple[int, Job]) -> int:
    return numbered[0]


def _with_leader(state: State, number: int, leader: Leader) -> State:
    first, second = state.leaders
    return state._replace(leaders=(leader, second) if number == 0 else (first, leader))


def _with_attempt(state: State, at: int, epoch: int, number: int, attempt: Attempt) -> State:
    job = state.jobs[at]
    of = job.attempts[epoch - 1]
    of = (*of[:number], attempt, *of[number + 1 :])
    job = job._replace(attempts=(of, job.attempts[1]) if epoch == 1 else (job.attempts[0], of))
    return state._replace(jobs=(*state.jobs[:at], job, *state.jobs[at + 1 :]))


def _job_with_view(job: Job, epoch: int, view: View) -> Job:
    return job._replace(views=(view, job.views[1]) if epoch == 1 else (job.views[0], view))


def _with_view(state: State, at: int, epoch: int, **changes: object) -> State:
    job = state.jobs[at]
    view = job.views[epoch - 1]
    assert view is not None
    job = _job_with_view(job, epoch, view._replace(**changes))  # type: ignore[arg-type]
    return state._replace(jobs=(*state.jobs[:at], job, *state.jobs[at + 1 :]))


def _with_garbage(state: State, at: int, epoch: int, attempt: tuple[int, int], step: int) -> State:
    view = state.jobs[at].views[epoch - 1]
    assert view is not None
    known = [list(of) for of in view.garbage]
    known[attempt[0] - 1][attempt[1]] = step
    return _with_view(state, at, epoch, garbage=(tuple(known[0]), tuple(known[1])))


def _garbage(job: Job, epoch: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    view = job.views[epoch - 1]
    assert view is not None
    return view.garbage


def _steps(job: Job, epoch: int) -> Iterator[tuple[int, int, int]]:
    """Of each attempt that the leader knows: its epoch (from 0), its number, and whether its blob is garbage."""
    for of, known in enumerate(_garbage(job, epoch)):
        for number, step in enumerate(known):
            yield of, number, step


def pending(job: Job, epoch: int) -> bool:
    """Whether anything of the job is there that the leader may remove now."""
    for of, number, step in _steps(job, epoch):
        attempt = job.attempts[of][number]
        if step == DOOMED or (step == BEFORE and attempt.blob == VOID and attempt.file and of == epoch - 1):
            return True
    return False


def _sweep(state: State) -> State:
    """The second leader removes the files of those of the first one's attempts that do not count; later ones leave theirs."""
    jobs = []
    for job in state.jobs:
        view = job.views[1]
        assert view is not None
        of = tuple(
            attempt if view.done == (1, number) or number >= len(view.garbage[0]) else attempt._replace(file=False)
            for number, attempt in enumerate(job.attempts[0])
        )  # fmt: skip
        jobs.append(job._replace(attempts=(of, job.attempts[1])))
    return state._replace(jobs=tuple(jobs))


FAN = Bounds((frozenset(), *[frozenset({0})] * 3), (frozenset(),) * 4, slice(1, 4))
"""A root with three children."""
LINE = Bounds((frozenset(), frozenset({0}), frozenset({1})), (frozenset(), frozenset(), frozenset({1})), slice(0, 0))
"""Three jobs, one after another, of which the last is given the second one's value."""
DIAMOND = Bounds(
    (frozenset(), frozenset({0}), frozenset({0}), frozenset({0, 1, 2})), (frozenset(), frozenset(), frozenset(), frozenset({1, 2})), slice(1, 3)
)
"""A root with two children, and a job after these that is given their values."""
