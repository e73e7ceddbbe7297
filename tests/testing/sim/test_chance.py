"""Draws depend on the seed and on what they are for, and are the same on every Python."""

from __future__ import annotations

from toil_core.testing.sim.chance import Chance, Fault, Stream


def test_draws_never_change() -> None:
    """Or no seed that was ever written down would be worth anything."""
    stream = Stream(7, "programs")
    assert [stream.below(1000) for _ in range(5)] == [949, 765, 136, 41, 763]
    assert [round(Chance(7, {}).draw(site), 9) for site in ("a", "b")] == [0.486941211, 0.688899216]
    assert Chance(7, {}).bytes("a", 4).hex() == "489e546e"


def test_each_time_has_a_name_of_its_own() -> None:
    chance = Chance(1, {})
    assert [chance.site("read x"), chance.site("read x"), chance.site("read y")] == ["read x #1", "read x #2", "read y #1"]


def test_a_fault_taken_away_changes_no_other_draw() -> None:
    mix = {"error": 0.3, "crash": 0.2}
    sites = [f"site {number}" for number in range(200)]
    first = Chance(3, mix, most=1000)
    for site in sites:
        first.fault(site, mix)
    assert 60 < len(first.happened) < 140
    without = [fault for fault in first.happened if fault.kind == "crash"]
    again = Chance(3, mix, without)
    for site in sites:
        again.fault(site, mix)
    assert again.happened == without


def test_there_is_a_most_and_an_end_of_faults() -> None:
    chance = Chance(1, {"error": 1.0}, most=2)
    assert [chance.fault("a", ["error"]) for _ in range(3)] == ["error", "error", ""]
    calm = Chance(1, {"error": 1.0}, given=[Fault("a", "error")])
    calm.calm()
    assert calm.fault("a", ["error"]) == ""


def test_given_faults_happen_only_where_they_can() -> None:
    chance = Chance(1, {}, given=[Fault("a", "error")])
    assert chance.fault("a", ["crash"]) == "" and chance.fault("b", ["error"]) == ""
    assert chance.fault("a", ["crash", "error"]) == "error"
