from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from toil_core.batch_system import Accelerator, Request, Requirement
from toil_core.room import NOTHING, Room


def request(id: str, needed: Requirement, *, lasting: bool = False) -> Request:
    return Request(id, "job", needed, b"", lasting=lasting)


def test_room_is_what_nobody_holds() -> None:
    room = Room(Requirement(2, 100, 100))
    room.hold(request("a", Requirement(0.5, 60)))
    assert room.fits(Requirement(1.5, 40, 100)) and not room.fits(Requirement(1.6)) and not room.fits(Requirement(0, 41))
    assert not room.fits(Requirement(1), Requirement(1)) and room.fits(Requirement(1), Requirement(0.5))
    assert room.free(Requirement(1, 10)) == (500_000, 30, 100) and room.requests == ("a",)
    room.release("a")
    assert room.fits(room.total) and room.free() == Room(room.total).free()


def test_in_the_end_only_what_lasts_is_there() -> None:
    room = Room(Requirement(3, accelerators=(Accelerator(3),)))
    room.hold(request("job", Requirement(1, accelerators=(Accelerator(1),))))
    room.hold(request("service", Requirement(1, accelerators=(Accelerator(1),)), lasting=True))
    pair = (Accelerator(2),)
    assert not room.fits(Requirement(2)) and room.fits_in_the_end(Requirement(2))
    assert not room.fits(Requirement(1, accelerators=pair)) and room.fits_in_the_end(Requirement(1, accelerators=pair))
    assert not room.fits_in_the_end(Requirement(3)) and not room.fits_in_the_end(Requirement(1, accelerators=(Accelerator(3),)))
    assert not room.fits_in_the_end(Requirement(2), Requirement(0.5))
    room.release("service")
    assert room.fits_in_the_end(Requirement(3, accelerators=(Accelerator(3),)))


def test_a_request_may_need_something_else_here() -> None:
    room = Room(Requirement(2))
    room.hold(request("a", Requirement(1)), Requirement(2))
    assert not room.fits(Requirement(0.5))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 9), st.booleans()), max_size=30), st.randoms())
def test_all_that_was_held_comes_back(wanted: list[tuple[float, int, bool]], random: object) -> None:
    room = Room(Requirement(8, 20))
    held = []
    for number, (cores, memory, lasting) in enumerate(wanted):
        new = request(str(number), Requirement(cores, memory), lasting=lasting)
        if room.fits(new.requirement):
            assert room.fits_in_the_end(new.requirement), "what fits now fits with less there"
            room.hold(new)
            held.append(new.id)
        assert all(amount >= 0 for amount in room.free(NOTHING))
    random.shuffle(held)  # type: ignore[attr-defined]
    for id in held:
        room.release(id)
    assert room.free() == Room(room.total).free() and room.fits_in_the_end(room.total)
