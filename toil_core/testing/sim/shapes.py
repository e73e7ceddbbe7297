"""Small workflows of every shape, by name: children, follow-ons, promises, chains, batches, services, checkpoint jobs, files."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from toil_core.testing.sim.program import Plan


def _single() -> Plan:
    return Plan("root")


def _chain() -> Plan:
    return Plan("root", adds_children=[Plan("a", adds_children=[Plan("b", adds_follow_ons=[Plan("c")])])])


def _static_chain() -> Plan:
    return Plan("root", children=[Plan("a", children=[Plan("b")])])


def _fan() -> Plan:
    return Plan("root", adds_children=[Plan(f"c{number}") for number in range(4)])


def _follow_on() -> Plan:
    return Plan("root", children=[Plan("a")], follow_ons=[Plan("b")])


def _fan_in() -> Plan:
    parts = [Plan(f"c{number}") for number in range(3)]
    return Plan("root", adds_children=parts, adds_follow_ons=[Plan("sum", needs=parts)])


def _diamond() -> Plan:
    end = Plan("end")
    return Plan("root", children=[Plan("left", children=[end]), Plan("right", children=[end])])


def _promise() -> Plan:
    made = Plan("made")
    root = Plan("root", adds_children=[made, Plan("user", needs=[made])], promises=[made])
    return root


def _deep_promise() -> Plan:
    inner = Plan("inner", size=1100)
    maker = Plan("maker", adds_children=[inner], promises=[inner])
    return Plan("root", adds_children=[maker], adds_follow_ons=[Plan("user", needs=[maker])])


def _static_promise() -> Plan:
    made = Plan("made", size=1100)
    return Plan("root", children=[made, Plan("user", needs=[made], size=1100)])


def _batch() -> Plan:
    return Plan("root", adds_children=[Plan(f"t{number}", shape="tiny", seconds=0.001) for number in range(12)])


def _pooled() -> Plan:
    return Plan("root", adds_children=[Plan(f"t{number}", shape="tiny", seconds=0.001, isolated=False) for number in range(8)])


def _failing() -> Plan:
    return Plan("root", adds_children=[Plan("shaky", fails=1), Plan("firm")], adds_follow_ons=[Plan("end", fails=1)])


def _checkpoint() -> Plan:
    top = Plan("top", checkpoint=True, adds_children=[Plan("shaky", tries=1, fails=1), Plan("firm")])
    return Plan("root", adds_children=[top], adds_follow_ons=[Plan("end", needs=[top])])


def _nested_checkpoint() -> Plan:
    inner = Plan("inner", checkpoint=True, tries=1, adds_children=[Plan("shaky", tries=1, fails=1)])
    return Plan("root", adds_children=[Plan("outer", checkpoint=True, adds_children=[inner, Plan("beside")])])


def _service() -> Plan:
    server = Plan("server", service=True)
    return Plan("root", adds_services=[server], adds_children=[Plan("user", needs=[server]), Plan("other")])


def _services() -> Plan:
    second = Plan("second", service=True)
    first = Plan("first", service=True, services=[second])
    second.needs = [first]
    return Plan("root", adds_services=[first], adds_children=[Plan("user", needs=[second])], adds_follow_ons=[Plan("end")])


def _deleted() -> Plan:
    made = Plan("made", writes=True)
    return Plan("root", adds_children=[made, Plan("reader", needs=[made], reads=[made])], adds_follow_ons=[Plan("cleaner", needs=[made], deletes=[made])])


def _temporary() -> Plan:
    made = Plan("made", writes=True, temporary=True)
    return Plan("root", adds_children=[made, Plan("reader", needs=[made], reads=[made])], adds_follow_ons=[Plan("end")])


def _deleted_below() -> Plan:
    made = Plan("made", writes=True)
    cleaner = Plan("cleaner", needs=[made], deletes=[made], adds_children=[Plan("shaky", tries=1, fails=1)])
    return Plan("root", adds_children=[Plan("top", checkpoint=True, adds_children=[made, Plan("reader", needs=[made], reads=[made])], adds_follow_ons=[cleaner])])


def _served_below() -> Plan:
    server = Plan("server", service=True)
    top = Plan("top", checkpoint=True, adds_services=[server], adds_children=[Plan("user", needs=[server], tries=1, fails=1)])
    return Plan("root", adds_children=[top])


def _line(length: int, edge: str) -> Callable[[], Plan]:
    """Jobs one after another, joined by that kind of edge."""

    def make() -> Plan:
        plan = Plan("end")
        for number in reversed(range(length)):
            plan = Plan(f"link{number}", **{edge: [plan]})  # type: ignore[arg-type]
        return Plan("root", **{edge: [plan]})  # type: ignore[arg-type]

    return make


def _wide(count: int, edge: str, *, shape: str = "", isolated: bool = True) -> Callable[[], Plan]:
    """Jobs beside each other, joined to the root by that kind of edge."""

    def make() -> Plan:
        parts = [Plan(f"c{number}", shape=shape, seconds=0.001 if shape else 1.0, isolated=isolated) for number in range(count)]
        return Plan("root", **{edge: parts})  # type: ignore[arg-type]

    return make


def _static_follow_ons() -> Plan:
    return Plan("root", follow_ons=[Plan("a", follow_ons=[Plan("b")]), Plan("c")])


def _static_children_dynamic_follow_on() -> Plan:
    return Plan("root", children=[Plan("child", adds_children=[Plan("deep")])], adds_follow_ons=[Plan("after")])


def _static_follow_on_dynamic_child() -> Plan:
    return Plan("root", follow_ons=[Plan("after")], adds_children=[Plan("child", adds_follow_ons=[Plan("deep")])])


def _tree() -> Plan:
    return Plan("root", adds_children=[Plan(f"t{n}", adds_children=[Plan(f"t{n}{m}") for m in range(2)]) for n in range(2)])


def _tree_of_follow_ons() -> Plan:
    return Plan("root", adds_children=[Plan(f"t{n}", adds_follow_ons=[Plan(f"f{n}", adds_children=[Plan(f"g{n}")])]) for n in range(2)])


def _two_parents() -> Plan:
    shared = Plan("shared", adds_children=[Plan("deep")])
    return Plan("root", adds_children=[Plan("left", follow_ons=[shared]), Plan("right", children=[shared])])


def _butterfly() -> Plan:
    ends = [Plan("x"), Plan("y")]
    return Plan("root", children=[Plan("left", children=[*ends]), Plan("right", children=[*ends])])


def _promise_chain() -> Plan:
    first = Plan("first", size=1100)
    second = Plan("second", needs=[first])
    return Plan("root", adds_children=[first, second, Plan("third", needs=[second, first])], promises=[second])


def _promise_of_promise() -> Plan:
    inner = Plan("inner", size=1100)
    middle = Plan("middle", adds_children=[inner], promises=[inner])
    outer = Plan("outer", adds_children=[middle], promises=[middle])
    return Plan("root", adds_children=[outer], adds_follow_ons=[Plan("user", needs=[outer])], promises=[outer])


def _promise_across() -> Plan:
    made = Plan("made", adds_children=[Plan("late")])
    return Plan("root", children=[made], follow_ons=[Plan("user", needs=[made])])


def _many_promises() -> Plan:
    parts = [Plan(f"c{number}", shape="part", seconds=0.001) for number in range(8)]
    return Plan("root", adds_children=[*parts, Plan("sum", needs=parts)])


def _large_values() -> Plan:
    parts = [Plan(f"c{number}", size=1500) for number in range(3)]
    return Plan("root", adds_children=parts, adds_follow_ons=[Plan("sum", needs=parts, size=1500)], promises=parts[:1])


def _long_and_short() -> Plan:
    return Plan("root", adds_children=[Plan("long", seconds=20.0), *(Plan(f"s{n}", shape="short", seconds=0.001) for n in range(6))])


def _batch_then_batch() -> Plan:
    first = [Plan(f"a{number}", shape="tiny", seconds=0.001) for number in range(6)]
    return Plan("root", adds_children=first, adds_follow_ons=[Plan(f"b{number}", shape="tiny", seconds=0.001) for number in range(6)])


def _batch_that_grows() -> Plan:
    return Plan("root", adds_children=[Plan(f"t{n}", shape="tiny", seconds=0.001, adds_children=[Plan(f"u{n}", shape="tiny")]) for n in range(6)])


def _batch_that_fails() -> Plan:
    return Plan("root", adds_children=[Plan(f"t{n}", shape="tiny", seconds=0.001, fails=n % 2) for n in range(6)])


def _batch_of_files() -> Plan:
    parts = [Plan(f"t{n}", shape="tiny", seconds=0.001, writes=True) for n in range(5)]
    return Plan("root", adds_children=parts, adds_follow_ons=[Plan("sum", needs=parts, reads=parts)])


def _pooled_that_fails() -> Plan:
    return Plan("root", adds_children=[Plan(f"t{n}", shape="tiny", seconds=0.001, isolated=False, fails=n % 2) for n in range(6)])


def _chain_of_files() -> Plan:
    made = Plan("made", writes=True, temporary=True)
    copied = Plan("copied", writes=True, needs=[made], reads=[made])
    return Plan("root", adds_children=[made, copied, Plan("user", needs=[copied], reads=[copied])])


def _chain_that_writes() -> Plan:
    last = Plan("last", writes=True, seconds=5.0)
    middle = Plan("middle", writes=True, seconds=5.0, adds_children=[last])
    return Plan("root", writes=True, adds_children=[middle])


def _chain_that_fails() -> Plan:
    return Plan("root", adds_children=[Plan("a", fails=1, adds_children=[Plan("b", fails=2, adds_follow_ons=[Plan("c", fails=1)])])])


def _checkpoint_root() -> Plan:
    return Plan("root", checkpoint=True, adds_children=[Plan("shaky", tries=1, fails=1), Plan("firm")])


def _checkpoint_twice() -> Plan:
    top = Plan("top", checkpoint=True, adds_children=[Plan("shaky", tries=1, fails=2)])
    return Plan("root", adds_children=[top], adds_follow_ons=[Plan("next", checkpoint=True, needs=[top], adds_children=[Plan("shaky2", tries=1, fails=1)])])


def _checkpoint_of_batch() -> Plan:
    parts = [Plan(f"t{n}", shape="tiny", seconds=0.001, tries=1, fails=int(n == 3)) for n in range(5)]
    return Plan("root", adds_children=[Plan("top", checkpoint=True, adds_children=parts)])


def _checkpoint_of_promise() -> Plan:
    made = Plan("made")
    top = Plan("top", checkpoint=True, adds_children=[made, Plan("user", needs=[made], tries=1, fails=1)], promises=[made])
    return Plan("root", adds_children=[top, Plan("outside", needs=[top])], promises=[top])


def _checkpoint_of_temporary() -> Plan:
    made = Plan("made", writes=True, temporary=True)
    user = Plan("user", needs=[made], reads=[made], tries=1, fails=1)
    return Plan("root", adds_children=[Plan("top", checkpoint=True, adds_children=[made, user])])


def _checkpoints_beside() -> Plan:
    tops = [Plan(f"top{n}", checkpoint=True, adds_children=[Plan(f"shaky{n}", tries=1, fails=1)]) for n in range(2)]
    return Plan("root", adds_children=tops, adds_follow_ons=[Plan("end", needs=tops)])


def _service_alone() -> Plan:
    return Plan("root", adds_services=[Plan("server", service=True)])


def _service_at_first() -> Plan:
    server = Plan("server", service=True)
    return Plan("root", services=[server], children=[Plan("user", needs=[server])], follow_ons=[Plan("end")])


def _services_beside() -> Plan:
    servers = [Plan(f"server{n}", service=True) for n in range(2)]
    return Plan("root", adds_services=servers, adds_children=[Plan("user", needs=servers, fails=1), Plan("other", needs=servers[:1])])


def _service_in_service() -> Plan:
    inner, outer = Plan("inner", service=True), Plan("outer", service=True)
    middle = Plan("middle", adds_services=[inner], adds_children=[Plan("user", needs=[inner])])
    return Plan("root", adds_services=[outer], adds_children=[middle, Plan("beside", needs=[outer])])


def _service_that_fails() -> Plan:
    server = Plan("server", service=True, fails=1)
    return Plan("root", adds_services=[server], adds_children=[Plan("user", needs=[server])])


def _service_then_service() -> Plan:
    first, second = Plan("s1", service=True), Plan("s2", service=True)
    one = Plan("one", adds_services=[first], adds_children=[Plan("u1", needs=[first])])
    return Plan("root", adds_children=[one], adds_follow_ons=[Plan("two", adds_services=[second], adds_children=[Plan("u2", needs=[second])])])


def _served_batch() -> Plan:
    server = Plan("server", service=True)
    return Plan("root", adds_services=[server], adds_children=[Plan(f"t{n}", shape="tiny", seconds=0.001, needs=[server]) for n in range(5)])


SHAPES: Mapping[str, Callable[[], Plan]] = {
    make.__name__.strip("_").replace("_", "-"): make
    for make in (
        _single, _chain, _static_chain, _fan, _follow_on, _fan_in, _diamond, _promise, _deep_promise, _static_promise, _batch, _pooled,
        _failing, _checkpoint, _nested_checkpoint, _service, _services, _deleted, _temporary, _deleted_below, _served_below,
        _static_follow_ons, _static_children_dynamic_follow_on, _static_follow_on_dynamic_child, _tree, _tree_of_follow_ons, _two_parents,
        _butterfly, _promise_chain, _promise_of_promise, _promise_across, _many_promises, _large_values, _long_and_short,
        _batch_then_batch, _batch_that_grows, _batch_that_fails, _batch_of_files, _pooled_that_fails, _chain_of_files, _chain_that_fails, _chain_that_writes,
        _checkpoint_root, _checkpoint_twice, _checkpoint_of_batch, _checkpoint_of_promise, _checkpoint_of_temporary, _checkpoints_beside,
        _service_alone, _service_at_first, _services_beside, _service_in_service, _service_that_fails, _service_then_service,
        _served_batch,
    )
} | {
    "children-of-children": _line(3, "adds_children"),
    "follow-ons-of-follow-ons": _line(3, "adds_follow_ons"),
    "static-line": _line(3, "children"),
    "static-line-of-follow-ons": _line(3, "follow_ons"),
    "wide": _wide(6, "adds_children"),
    "wide-of-follow-ons": _wide(3, "adds_follow_ons"),
    "static-wide": _wide(4, "children"),
    "static-batch": _wide(10, "children", shape="tiny"),
    "static-pooled": _wide(6, "follow_ons", shape="tiny", isolated=False),
}  # fmt: skip
"""Small workflows, by name."""
