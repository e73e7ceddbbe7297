"""Where to draw the boxes and arrows of a graph, in layers, so that arrows point one way and seldom cross.

The steps are those of Sugiyama: turn round the arrows that close a ring, put each box one layer
after the last of those before it, cut long arrows into bends, order each layer by the middle of
its neighbours, and move boxes as near to their neighbours as their sizes let them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

BETWEEN, BESIDE, BEND, MARGIN = 72.0, 22.0, 12.0, 16.0
"""Room between two layers, between two boxes of a layer, around a bend, and around everything."""
_SWEEPS = 12


class Box(msgspec.Struct, frozen=True):
    """Where a box is, by its upper left corner.

    Args:
        name: Whose.
        x: From the left.
        y: From the top.
        width: Its width.
        height: Its height.
    """

    name: str
    x: float
    y: float
    width: float
    height: float


class Arrow(msgspec.Struct, frozen=True):
    """The way of an arrow.

    Args:
        source: Name of the box where it begins.
        target: Name of the box where it ends; the same as the source for a job that adds its like.
        points: Its ends and bends, from source to target; none when it begins and ends at one box.
    """

    source: str
    target: str
    points: tuple[tuple[float, float], ...]


class Drawing(msgspec.Struct, frozen=True):
    """Boxes and arrows.

    Args:
        width: Of all.
        height: Of all.
        down: Whether layers follow each other downwards; otherwise to the right.
        boxes: The boxes.
        arrows: The arrows.
    """

    width: float
    height: float
    down: bool
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


@dataclass(eq=False, slots=True)
class _Node:
    name: str
    size: float
    """Across the layers."""
    thickness: float
    """Along them."""
    layer: int = 0
    place: float = 0.0
    before: list[_Node] = field(default_factory=list)
    after: list[_Node] = field(default_factory=list)


def layered(sizes: Mapping[str, tuple[float, float]], edges: Sequence[tuple[str, str]], *, down: bool) -> Drawing:
    """Lay a graph out.

    Args:
        sizes: Width and height of each box, by name, in the order in which they are met.
        edges: Source and target of each arrow; rings and arrows from a box to itself are fine.
        down: Whether layers follow each other downwards; otherwise to the right.
    """
    kept = list(dict.fromkeys(edge for edge in edges if edge[0] != edge[1]))
    turned = _closing(list(sizes), kept)
    forward = list(dict.fromkeys((b, a) if (a, b) in turned else (a, b) for a, b in kept))
    depth = _depths(list(sizes), forward)
    nodes = {name: _Node(name, *((w, h) if down else (h, w)), depth[name]) for name, (w, h) in sizes.items()}
    chains = {edge: _chain(nodes[edge[0]], nodes[edge[1]]) for edge in forward}
    layers: list[list[_Node]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in (*nodes.values(), *(bend for chain in chains.values() for bend in chain[1:-1])):
        layers[node.layer].append(node)
    layers = _ordered(layers)
    _placed(layers)
    return _drawing(layers, nodes, chains, turned, edges, down=down)


def _closing(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows that would lead back to where a walk along them came from."""
    after: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        after[source].append(target)
    found, state = set(), dict.fromkeys(names, 0)
    for start in names:
        stack = [(start, iter(after[start]))] if not state[start] else []
        state[start] = state[start] or 1
        while stack:
            name, targets = stack[-1]
            target = next(targets, "")
            if not target:
                state[name] = 2
                stack.pop()
            elif state[target] == 1:
                found.add((name, target))
            elif state[target] == 0:
                state[target] = 1
                stack.append((target, iter(after[target])))
    return found


def _depths(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    waiting = dict.fromkeys(names, 0)
    after: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        waiting[target] += 1
        after[source].append(target)
    depth = dict.fromkeys(names, 0)
    ready = [name for name in names if not waiting[name]]
    for name in ready:
        for target in after[name]:
            depth[target] = max(depth[target], depth[name] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return depth


def _chain(source: _Node, target: _Node) -> list[_Node]:
    bends = [_Node("", BEND, 0.0, layer) for layer in range(source.layer + 1, target.layer)]
    chain = [source, *bends, target]
    for first, second in pairwise(chain):
        first.after.append(second)
        second.before.append(first)
    return chain


def _ordered(layers: list[list[_Node]]) -> list[list[_Node]]:
    """The layers in the order, of those tried, in which the fewest arrows cross."""
    _number(layers)
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            middles = {node: _middle(node, node.before if sweep % 2 == 0 else node.after) for node in layer}
            layer.sort(key=middles.__getitem__)
            for place, node in enumerate(layer):
                node.place = place
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    _number(best)
    return best


def _number(layers: list[list[_Node]]) -> None:
    for layer in layers:
        for place, node in enumerate(layer):
            node.place = place


def _middle(node: _Node, neighbours: Sequence[_Node]) -> float:
    return sum(other.place for other in neighbours) / len(neighbours) if neighbours else node.place


def _crossings(layers: Sequence[Sequence[_Node]]) -> int:
    crossings = 0
    for layer in layers:
        ends = [other.place for node in layer for other in sorted(node.after, key=lambda other: other.place)]
        crossings += sum(later < earlier for i, earlier in enumerate(ends) for later in ends[i + 1 :])
    return crossings


def _placed(layers: Sequence[Sequence[_Node]]) -> None:
    """Give each node its place across the layers: the middle of its box."""
    for layer in layers:
        _spread(layer, [0.0] * len(layer))
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            _spread(layer, [_middle(node, node.before if sweep % 2 == 0 else node.after) for node in layer])
    for layer in layers:
        _spread(layer, [_middle(node, [*node.before, *node.after]) for node in layer])


def _spread(layer: Sequence[_Node], wanted: Sequence[float]) -> None:
    """Put the nodes as near to where they are wanted as order and sizes let them.

    Neighbours that would overlap are moved as one block, to the middle of what its members want.
    """
    offset, offsets = 0.0, []
    for i, node in enumerate(layer):
        offset += 0.0 if i == 0 else (layer[i - 1].size + node.size) / 2 + (BESIDE if node.name and layer[i - 1].name else BEND)
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []
    for i, place in enumerate(wanted):
        total, count = place - offsets[i], 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / count:
            before, many = blocks.pop()
            total, count = total + before, count + many
        blocks.append((total, count))
    places = [total / count for total, count in blocks for _ in range(count)]
    for node, place, offset in zip(layer, places, offsets, strict=True):
        node.place = place + offset


def _drawing(
    layers: Sequence[Sequence[_Node]],
    nodes: Mapping[str, _Node],
    chains: Mapping[tuple[str, str], Sequence[_Node]],
    turned: set[tuple[str, str]],
    edges: Sequence[tuple[str, str]],
    *,
    down: bool,
) -> Drawing:
    every = [node for layer in layers for node in layer]
    first = min((node.place - node.size / 2 for node in every), default=0.0)
    last = max((node.place + node.size / 2 for node in every), default=0.0)
    starts, along = [], MARGIN
    for layer in layers:
        starts.append(along)
        along += max(node.thickness for node in layer) + BETWEEN
    thick = [max(node.thickness for node in layer) for layer in layers]
    across = last - first + 2 * MARGIN
    end = along - BETWEEN + MARGIN if layers else 2 * MARGIN

    def point(along: float, across: float) -> tuple[float, float]:
        across = round(across - first + MARGIN, 1)
        return (across, round(along, 1)) if down else (round(along, 1), across)

    boxes = []
    for node in nodes.values():
        x, y = point(starts[node.layer], node.place - node.size / 2)
        boxes.append(Box(node.name, x, y, *((node.size, node.thickness) if down else (node.thickness, node.size))))
    arrows = []
    for source, target in dict.fromkeys(edges):
        if source == target:
            arrows.append(Arrow(source, target, ()))
            continue
        back = (source, target) in turned
        chain = chains[target, source] if back else chains[source, target]
        points = [point(starts[chain[0].layer] + chain[0].thickness, chain[0].place)]
        for bend in chain[1:-1]:
            points += [point(starts[bend.layer], bend.place), point(starts[bend.layer] + thick[bend.layer], bend.place)]
        points.append(point(starts[chain[-1].layer], chain[-1].place))
        arrows.append(Arrow(source, target, tuple(reversed(points) if back else points)))
    return Drawing(*((across, end) if down else (end, across)), down, tuple(boxes), tuple(arrows))
