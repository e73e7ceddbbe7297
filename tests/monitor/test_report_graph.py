from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.monitor import synthetic
from tests.monitor.stores import begun, committed, led
from toil_core.leader.graph import Graph
from toil_core.leader.history import Attempt
from toil_core.monitor import history
from toil_core.monitor.report.graph import MOST, Edge, Relations, picture
from toil_core.monitor.report.layout import Box, layered
from toil_core.monitor.status import examine_graph

NAMES = [f"n{number}" for number in range(12)]
PAIRS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=30)
SIZES = {name: (60.0 + 9 * place, 46.0) for place, name in enumerate(NAMES)}


def apart(one: Box, other: Box) -> bool:
    across = one.x + one.width <= other.x or other.x + other.width <= one.x
    return across or one.y + one.height <= other.y or other.y + other.height <= one.y


@given(PAIRS, st.booleans())
def test_boxes_never_overlap_and_arrows_join_them(pairs: list[tuple[str, str]], down: bool) -> None:
    drawing = layered(SIZES, pairs, down=down)
    boxes = {box.name: box for box in drawing.boxes}
    assert set(boxes) == set(NAMES)
    for place, one in enumerate(drawing.boxes):
        assert one.x >= 0 and one.y >= 0 and one.x + one.width <= drawing.width + 0.2 and one.y + one.height <= drawing.height + 0.2
        assert all(apart(one, other) for other in drawing.boxes[place + 1 :])
    assert {(arrow.source, arrow.target) for arrow in drawing.arrows} == set(pairs)
    for arrow in drawing.arrows:
        if arrow.source == arrow.target:
            assert arrow.points == ()
            continue
        for name, (x, y) in ((arrow.source, arrow.points[0]), (arrow.target, arrow.points[-1])):
            box = boxes[name]
            assert box.x - 0.2 <= x <= box.x + box.width + 0.2 and box.y - 0.2 <= y <= box.y + box.height + 0.2


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(1, 11)).filter(lambda pair: pair[0] < pair[1]), max_size=30))
def test_arrows_of_a_graph_without_rings_all_point_one_way(numbers: list[tuple[int, int]]) -> None:
    drawing = layered(SIZES, [(NAMES[a], NAMES[b]) for a, b in numbers], down=True)
    assert all(arrow.points[0][1] < arrow.points[-1][1] for arrow in drawing.arrows)


def test_a_chain_is_a_straight_line() -> None:
    drawing = layered({name: (80.0, 46.0) for name in NAMES}, list(pairwise(NAMES)), down=False)
    assert len({box.y for box in drawing.boxes}) == 1
    assert [box.x for box in drawing.boxes] == sorted(box.x for box in drawing.boxes)


def test_arrows_that_need_not_cross_do_not() -> None:
    drawing = layered({name: (80.0, 46.0) for name in "abcdwxyz"}, [("a", "z"), ("b", "y"), ("c", "x"), ("d", "w")], down=True)
    x = {box.name: box.x for box in drawing.boxes}
    order = sorted("abcd", key=lambda name: x[name])
    assert sorted("wxyz", key=lambda name: x[name]) == [{"a": "z", "b": "y", "c": "x", "d": "w"}[name] for name in order]


def edges(attempts: Iterable[Attempt], graph: Graph | None = None) -> list[Edge]:
    names: dict[str, str] = {}
    relations = Relations(names)
    for attempt in attempts:
        if attempt.job not in names:
            names[attempt.job] = attempt.name
            relations.add(attempt)
    return relations.found(graph)


@pytest.mark.parametrize("order", [list, reversed])
def test_relations_are_counted_by_names(order: Callable[[list[Attempt]], Iterable[Attempt]]) -> None:
    jobs = synthetic.planned(10)
    found = edges(order(synthetic.run(jobs, nodes=1, slots=1)))
    many = sum(job.sort is synthetic.ALIGN for job in jobs)
    assert Edge("split", "align", "child", many) in found
    assert Edge("align", "sort_reads", "value", many) in found
    assert Edge("prepare", "merge", "follow-on", 1) in found
    assert not [edge for edge in found if edge.source == edge.target]


def test_what_is_told_of_in_many_parts_is_counted_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = synthetic.run(synthetic.planned(200), nodes=1, slots=4)
    whole = edges(attempts)
    monkeypatch.setattr("toil_core.monitor.report.graph._GROUPS", 3)
    assert set(edges(attempts)) == set(edges(attempts[::-1])) == set(whole)


def test_jobs_that_wait_are_in_the_graph_too(tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    led(store)
    committed(store)
    _, graph, found = examine_graph(store, str(tmp_path / "s"))
    assert edges(history.of(store, graph, found), graph) == [Edge("top", "leaf", "child", 4)]


def test_long_names_are_shortened_in_their_middle() -> None:
    long = "filter_variants_by_quality_and_depth_of_coverage"
    drawn = picture({long: 3, "a": 1}, [Edge("a", long, "child", 3), Edge("a", "gone", "child", 1)])
    assert drawn is not None
    assert drawn.boxes[0].label == "filter_variant…pth_of_coverage"
    assert drawn.edges == (Edge("a", long, "child", 3),)


@pytest.mark.parametrize("names", [3, 60, MOST])
def test_graphs_of_many_names_are_laid_out(names: int) -> None:
    jobs = {f"job_{number}": number + 1 for number in range(names)}
    chain = [Edge(f"job_{number // 2}", f"job_{number}", "child", 1) for number in range(1, names)]
    drawn = picture(jobs, chain)
    assert drawn is not None and len(drawn.down.boxes) == names


def test_graphs_that_nobody_could_read_are_not_drawn() -> None:
    assert picture({f"job_{number}": 1 for number in range(MOST + 1)}, []) is None
