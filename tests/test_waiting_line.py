"""Whose turn it is, on machines that are nothing but sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from toil_core.batch_system import Request, Requirement
from toil_core.room import NOTHING, Room
from toil_core.waiting_line import WaitingLine

PATIENCE = 3
_ids = count()


class Machines:
    """Machines with so many cores each, and what runs there."""

    def __init__(self, *cores: int) -> None:
        self.rooms = [Room(Requirement(each)) for each in cores]
        self.line = WaitingLine(self, PATIENCE)
        self.running: dict[str, int] = {}
        self.others = [NOTHING for _ in cores]
        self.searches = 0

    def find(self, needed: Requirement, spared: int | None) -> int | None:
        self.searches += 1
        return next((n for n, room in enumerate(self.rooms) if n != spared and room.fits(needed, self.others[n])), None)

    def find_in_the_end(self, needed: Requirement) -> int | None:
        return next((n for n, room in enumerate(self.rooms) if room.fits_in_the_end(needed)), None)

    def may_queue(self, needed: Requirement, place: int) -> bool:
        return self.others[place] is not NOTHING and self.rooms[place].fits(needed)

    def add(self, cores: float, *, lasting: bool = False) -> Request:
        request = Request(f"r{next(_ids)}", "job", Requirement(cores), b"", lasting=lasting)
        self.line.add(request)
        return request

    def start(self) -> list[str]:
        started = []
        for request, place in self.line.turns():
            assert request.id not in self.running
            self.rooms[place].hold(request)
            self.running[request.id] = place
            started.append(request.id)
        return started

    def end(self, id: str) -> None:
        room = self.rooms[self.running.pop(id)]
        room.release(id)
        self.line.more_room(room.fits)

    def passing(self, *, turns: int, ahead: Sequence[str] = ()) -> Iterator[list[str]]:
        """What starts as one after the other ends, while small ones come."""
        running = list(ahead)
        for _ in range(turns):
            self.end(running.pop(0))
            self.add(1)
            new = self.start()
            running += new
            yield new


def test_turns_come_in_order_as_far_as_there_is_room() -> None:
    machines = Machines(2)
    first, large, second, third = machines.add(1), machines.add(2), machines.add(0.5), machines.add(0.5)
    assert machines.start() == [first.id, second.id, third.id]
    assert [request.id for request in machines.line] == [large.id] and list(machines.line.kinds) == [Requirement(2)]
    for id in (first.id, second.id, third.id):
        assert machines.start() == []
        machines.end(id)
    assert machines.start() == [large.id]


def test_one_that_waits_can_be_removed() -> None:
    machines = Machines(1)
    first, second, third = machines.add(1), machines.add(1), machines.add(1)
    assert machines.line.remove(first.id) and not machines.line.remove(first.id)
    assert machines.start() == [second.id]
    assert not machines.line.remove(second.id)
    machines.end(second.id)
    assert machines.start() == [third.id] and not machines.line.kinds


def test_a_large_one_is_passed_by_no_more_often_than_patience_allows() -> None:
    machines = Machines(2)
    ahead = [machines.add(1).id, machines.add(1).id]
    assert machines.start() == ahead
    large = machines.add(2)
    before = [id for new in machines.passing(turns=2 * PATIENCE - 1, ahead=ahead) for id in new if large.id not in machines.running]
    assert large.id in machines.running and len(before) == PATIENCE


def test_the_next_large_one_has_its_turn_though_an_earlier_one_never_fits_beside_what_lasts() -> None:
    machines = Machines(3)
    service = machines.add(1, lasting=True)
    ahead = [machines.add(1).id, machines.add(1).id]
    machines.start()
    huge, large = machines.add(3), machines.add(2)
    for _ in machines.passing(turns=PATIENCE + 2, ahead=ahead):
        if large.id in machines.running:
            break
    assert large.id in machines.running and huge.id not in machines.running
    machines.end(large.id)
    machines.end(service.id)
    while huge.id not in machines.running:
        assert machines.start()
        for id in set(machines.running) - {huge.id}:
            machines.end(id)


def test_what_never_fits_keeps_nobody_however_many_there_are() -> None:
    machines = Machines(2)
    machines.add(1, lasting=True)
    machines.start()
    for number in range(5000):
        machines.add(2 + number % 7)
    for _ in range(5 * PATIENCE):
        user = machines.add(1)
        assert machines.start() == [user.id]
        machines.end(user.id)


def test_only_the_first_of_each_kind_is_looked_at() -> None:
    machines = Machines(1)
    for _ in range(1000):
        machines.add(1)
    (id,) = machines.start()
    assert machines.searches == 2
    machines.start()
    assert machines.searches == 2, "nothing has changed"
    machines.end(id)
    assert len(machines.start()) == 1 and machines.searches == 4


def test_how_many_kinds_wait_does_not_count() -> None:
    machines = Machines(1)
    for number in range(200):
        machines.line.add(Request(f"k{number}", "job", Requirement(1, wall_time=1.0 + number), b""))
    for number in range(200):
        machines.searches = 0
        assert machines.start() == [f"k{number}"]
        assert machines.searches <= 4
        machines.end(f"k{number}")
    assert not machines.line.kinds


def test_others_pass_by_too_and_in_the_end_one_may_queue_behind_them() -> None:
    machines = Machines(2)
    large = machines.add(2)
    machines.others[0] = Requirement(1)
    for _ in range(PATIENCE):
        assert machines.start() == []
        machines.line.passed_by()
    assert machines.start() == [large.id]


def test_whoever_was_kept_off_a_place_has_it_when_the_late_one_is_removed() -> None:
    machines = Machines(2)
    ahead = [machines.add(1).id, machines.add(1).id]
    machines.start()
    large = machines.add(2)
    for _ in machines.passing(turns=PATIENCE, ahead=ahead):
        pass
    small = machines.add(1)
    machines.end(next(iter(machines.running)))
    assert machines.start() == []
    machines.line.remove(large.id)
    assert machines.start() == [small.id]


def test_nobody_waits_when_others_pass_by() -> None:
    machines = Machines(2)
    machines.line.passed_by()
    assert machines.start() == []


@settings(deadline=None, max_examples=100)
@given(
    machines=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    wanted=st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=6),
)
def test_whatever_can_have_a_turn_gets_it_and_whoever_else_waits_keeps_nobody(machines: list[int], wanted: list[tuple[int, bool]]) -> None:
    """Small ones come for ever, each as one ends; what lasts does not end before them."""
    there = Machines(*machines)
    early = [there.add(cores, lasting=lasting) for cores, lasting in wanted]
    lasting = {request.id for request in early if request.lasting}
    running: list[str] = []
    for _ in range(2 * (PATIENCE + sum(machines)) * (len(wanted) + 1)):
        there.add(1)
        running += [id for id in there.start() if id not in lasting]
        if not running:
            assert not any(room.fits_in_the_end(Requirement(1)) for room in there.rooms), "there is room beside what lasts"
            break
        there.end(running.pop(0))
    waiting = {request.id for request in there.line}
    for request in early:
        possible = any(room.fits_in_the_end(request.requirement) for room in there.rooms)
        assert request.id not in waiting or not possible, "one that can have a turn waits for ever"


@settings(deadline=None, max_examples=50)
@given(st.data(), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_no_room_is_left_while_nobody_is_late(data: st.DataObject, cores: list[int]) -> None:
    machines = Machines(*cores)
    for _ in range(PATIENCE):
        for needed in data.draw(st.lists(st.integers(1, 5), max_size=3)):
            machines.add(needed)
        for id in data.draw(st.sets(st.sampled_from(sorted(machines.running) or [""]), max_size=1)) - {""}:
            machines.end(id)
        for id in data.draw(st.sets(st.sampled_from([request.id for request in machines.line] or [""]), max_size=1)) - {""}:
            assert machines.line.remove(id)
        machines.start()
        if any(machines.line._passed.values()):
            return
        assert all(machines.find(needed, None) is None for needed in machines.line.kinds), "room was left"
