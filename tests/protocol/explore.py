"""Visits every state that the protocol's model can be in, and says whether anything is wrong in one.

    python -m tests.protocol.explore [--losses 3] [--shape fan|diamond] [--whole]
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.protocol.forget import forgotten
from tests.protocol.model import DIAMOND, FAN, Action, Bounds, Broken, Key, Protocol, Rules, State


@dataclass(frozen=True)
class Explored:
    """What came of it.

    Args:
        states: How many states there are, those that are alike counted once.
        steps: How many steps between them.
        broken: What is wrong; empty when nothing is.
        trace: How to get there.
    """

    states: int
    steps: int
    broken: str = ""
    trace: tuple[Action, ...] = ()


def explore(bounds: Bounds, rules: Rules | None = None, *, whole: bool = True, each: Callable[[State], object] | None = None) -> Explored:
    """Visit every state, nearest first.

    Args:
        bounds: What is explored.
        rules: The protocol; as it is if not given.
        whole: Whether what can matter no more tells states apart all the same; where a rule is broken it may matter.
        each: Told of every state.
    """
    assert whole or rules is None
    protocol = Protocol(bounds, rules)
    each = each or (lambda state: None)
    each(protocol.start)
    key, start = protocol.canonical(protocol.start)
    came: dict[Key, tuple[Key, Action] | None] = {key: None}
    queue = deque([(key, start)])
    steps = 0
    while queue:
        key, state = queue.popleft()
        over = True
        try:
            for action, after in protocol.next(state):
                if protocol.late(state, action):
                    continue
                steps += 1
                over = False
                reached, after = protocol.canonical(after if whole else forgotten(after))
                if reached not in came:
                    protocol.check(after)
                    each(after)
                    came[reached] = key, action
                    queue.append((reached, after))
            if over and protocol.stuck(state):
                raise Broken("a leader waits for what will never come")
        except Broken as error:
            return Explored(len(came), steps, str(error), _trace(came, key))
    return Explored(len(came), steps)


def _trace(came: dict[Key, tuple[Key, Action] | None], key: Key) -> tuple[Action, ...]:
    trace: list[Action] = []
    while (before := came[key]) is not None:
        key, action = before
        trace.append(action)
    return tuple(reversed(trace))


def main() -> None:
    """Explore, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", type=int, default=2, help="How often a leader believes that a request is lost.")
    parser.add_argument("--shape", choices=["fan", "diamond"], action="append", help="Which jobs there are; both if not given.")
    parser.add_argument("--whole", action="store_true", help="Tell states apart also by what can matter no more: ten to fifteen times as many.")
    options = parser.parse_args()
    for shape in options.shape or ["fan", "diamond"]:
        begun = time.process_time()
        found = explore(replace({"fan": FAN, "diamond": DIAMOND}[shape], losses=options.losses), whole=options.whole)
        print(f"{shape}, {options.losses} losses: {found.states:,} states, {found.steps:,} steps, {time.process_time() - begun:.0f} CPU-s", flush=True)
        if found.broken:
            raise SystemExit("\n".join([f"broken: {found.broken}", *map(str, found.trace)]))


if __name__ == "__main__":
    main()
