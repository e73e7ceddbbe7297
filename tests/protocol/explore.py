"""Visits every state that the protocol's model can be in, and says whether anything is wrong in one.

    python -m tests.protocol.explore [--losses 3] [--shape fan|diamond]
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from dataclasses import dataclass, replace

from tests.protocol.model import DIAMOND, FAN, Action, Bounds, Broken, Protocol, Rules, State


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


def explore(bounds: Bounds, rules: Rules | None = None) -> Explored:
    """Visit every state, nearest first."""
    protocol = Protocol(bounds, rules)
    start = protocol.canonical(protocol.start)
    came: dict[State, tuple[State, Action] | None] = {start: None}
    queue = deque([start])
    steps = 0
    while queue:
        state = queue.popleft()
        over = True
        try:
            for action, after in protocol.next(state):
                steps += 1
                over = False
                after = protocol.canonical(after)
                if after not in came:
                    protocol.check(after)
                    came[after] = state, action
                    queue.append(after)
            if over and protocol.stuck(state):
                raise Broken("a leader waits for what will never come")
        except Broken as error:
            return Explored(len(came), steps, str(error), _trace(came, state))
    return Explored(len(came), steps)


def _trace(came: dict[State, tuple[State, Action] | None], state: State) -> tuple[Action, ...]:
    trace: list[Action] = []
    while (before := came[state]) is not None:
        state, action = before
        trace.append(action)
    return tuple(reversed(trace))


def main() -> None:
    """Explore, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", type=int, default=2, help="How often a leader believes that a request is lost.")
    parser.add_argument("--shape", choices=["fan", "diamond"], action="append", help="Which jobs there are; both if not given.")
    options = parser.parse_args()
    for shape in options.shape or ["fan", "diamond"]:
        begun = time.process_time()
        found = explore(replace({"fan": FAN, "diamond": DIAMOND}[shape], losses=options.losses))
        print(f"{shape}, {options.losses} losses: {found.states:,} states, {found.steps:,} steps, {time.process_time() - begun:.0f} CPU-s", flush=True)
        if found.broken:
            raise SystemExit("\n".join([f"broken: {found.broken}", *map(str, found.trace)]))


if __name__ == "__main__":
    main()
