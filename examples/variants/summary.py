"""What a person reads of a run: a page of HTML that needs no other file, and a few lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from string import Template

from steps import Alignment, Trimming, Variant


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one run.

    Args:
        trimming, alignment: What those steps counted, over all chunks.
        depths: Reads over each base of the reference.
        variants: Every call, in the order of the reference.
        chunks: Parts that were aligned side by side.
    """

    trimming: Trimming
    alignment: Alignment
    depths: Sequence[int]
    variants: Sequence[Variant]
    chunks: int

    @property
    def passed(self) -> list[Variant]:
        """The variants that passed the filter."""
        return [variant for variant in self.variants if variant.passed]

    @property
    def depth(self) -> float:
        """Reads over a base, on average."""
        return sum(self.depths) / len(self.depths)

    @property
    def breadth(self) -> float:
        """The share of bases with a read over them."""
        return sum(depth > 0 for depth in self.depths) / len(self.depths)

    @property
    def aligned(self) -> float:
        """The share of reads that were aligned."""
        return self.alignment.aligned / max(1, self.alignment.reads)

    @property
    def kinds(self) -> Counter[str]:
        """How many variants of each kind passed."""
        return Counter(variant.kind for variant in self.passed)


def text(summary: Summary) -> str:
    """The summary in a few lines."""
    trimming, alignment = summary.trimming, summary.alignment
    weak = len(summary.variants) - len(summary.passed)
    lines = (
        ("read pairs", f"{trimming.pairs_in:,}, {trimming.pairs_out:,} of them kept after trimming"),
        ("reads aligned", f"{alignment.aligned:,} of {alignment.reads:,} ({summary.aligned:.1%}), in {summary.chunks} chunks"),
        ("depth", f"{summary.depth:.1f} on average; {summary.breadth:.1%} of the reference is covered"),
        ("variants found", f"{len(summary.passed):,} ({_kinds(summary)}), and {weak:,} more too weak to trust"),
    )
    return "\n".join(f"{name + ':':<16}{value}" for name, value in lines)


def _kinds(summary: Summary) -> str:
    return ", ".join(f"{number} {kind}{'s' if number > 1 else ''}" for kind, number in summary.kinds.most_common()) or "none"


def page(summary: Summary, title: str) -> str:
    """The summary as one HTML page with its style and its plot inside."""
    return _PAGE.substitute(title=escape(title), cards=_cards(summary), plot=_plot(summary), heads=_HEADS, rows=_rows(summary.variants))


def _cards(summary: Summary) -> str:
    trimming, alignment = summary.trimming, summary.alignment
    cards = (
        ("Read pairs", f"{trimming.pairs_in:,}", f"{trimming.pairs_out:,} kept after trimming"),
        ("Bases kept", f"{trimming.bases_out / max(1, trimming.bases_in):.1%}", f"{trimming.bases_out:,} of {trimming.bases_in:,}"),
        ("Reads aligned", f"{summary.aligned:.1%}", f"{alignment.aligned:,} of {alignment.reads:,}"),
        ("Proper pairs", f"{alignment.proper / max(1, alignment.reads):.1%}", f"{alignment.proper:,} reads"),
        ("Mean depth", f"{summary.depth:.1f}×", f"{summary.breadth:.1%} of the reference covered"),
        ("Variants", f"{len(summary.passed):,}", _kinds(summary)),
    )
    item = '<div class="card"><dt>{}</dt><dd class="value">{}</dd><dd>{}</dd></div>'
    return "\n".join(item.format(*map(escape, card)) for card in cards)


WIDTH, LEFT, RIGHT, TOP, HEIGHT, LANE = 1000, 48, 12, 12, 200, 22
"""Of the plot, in units of its view box: whole width, margins, height of the curve, height of a lane of marks."""

_LANES = (("SNV", "snv"), ("deletion", "del"), ("insertion", "ins"), ("complex", "cpx"))


def _plot(summary: Summary) -> str:
    """The depth along the reference, and below it one lane of marks for each kind of variant that was found."""
    length, right = len(summary.depths), WIDTH - RIGHT
    bins = _bins(summary.depths, right - LEFT)
    top = _tick(max(bins), 4) * 4
    bottom = TOP + HEIGHT
    lanes = [(kind, style) for kind, style in _LANES if summary.kinds[kind]]
    axis = bottom + LANE * len(lanes) + 12
    parts = [f'<svg viewBox="0 0 {WIDTH} {axis + 44}" role="img" aria-label="Depth along the reference and where the variants are">']
    for depth in range(0, top + 1, top // 4):
        y = bottom - HEIGHT * depth / top
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{y + 4:.1f}">{depth}</text>')
    points = " ".join(f"{LEFT + i},{bottom - HEIGHT * depth / top:.1f}" for i, depth in enumerate(bins))
    parts.append(f'<polygon class="depth" points="{LEFT},{bottom} {points} {LEFT + len(bins) - 1},{bottom}"/>')

    def across(position: int) -> float:
        return LEFT + (right - LEFT) * position / length

    for number, (kind, style) in enumerate(lanes):
        y = bottom + 12 + LANE * number
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{y + 12}">{kind[:3]}</text>')
        for variant in summary.passed:
            if variant.kind == kind:
                x = across(variant.position - 1)
                label = escape(f"{variant.position:,} {_short(variant.reference)} → {_short(variant.alternative)}")
                parts.append(f'<rect class="{style}" x="{x - 1:.1f}" y="{y}" width="2.4" height="{LANE - 6}"><title>{label}</title></rect>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{axis}" y2="{axis}"/>')
    step = _tick(length, 10)
    for position in range(0, length, step):
        x = across(position)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{axis}" y2="{axis + 5}"/>')
        parts.append(f'<text class="mid" x="{x:.1f}" y="{axis + 19}">{position:,}</text>')
    parts.append(f'<text class="mid" x="{(LEFT + right) / 2}" y="{axis + 38}">position on the reference (bases)</text></svg>')
    return "\n".join(parts)


def _bins(depths: Sequence[int], number: int) -> list[float]:
    """Mean depths of `number` equal stretches; fewer when the reference is shorter than that."""
    number = min(number, len(depths))
    bounds = [len(depths) * i // number for i in range(number + 1)]
    return [sum(depths[start:stop]) / (stop - start) for start, stop in pairwise(bounds)]


def _tick(most: float, steps: int) -> int:
    """The smallest round step (1, 2 or 5 times a power of ten) that reaches `most` in at most `steps` steps."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if factor * size * steps >= most:
                return factor * size
        size *= 10


def _short(allele: str, most: int = 24) -> str:
    return allele if len(allele) <= most else f"{allele[: most - 8]}…({len(allele)})"


_COLUMNS = (
    ("num", "Position"),
    ("", "Kind"),
    ("allele", "Reference"),
    ("allele", "Alternative"),
    ("num", "Quality"),
    ("num", "Depth"),
    ("num", "Support"),
)
_HEADS = "".join(f'<th class="{kind}">{name}</th>' for kind, name in _COLUMNS)


def _rows(variants: Sequence[Variant]) -> str:
    if not variants:
        return '<tr><td colspan="7">No variant was found.</td></tr>'
    return "\n".join(map(_row, variants))


def _row(variant: Variant) -> str:
    support, counted = variant.support
    cells = (
        f"{variant.position:,}",
        variant.kind,
        _short(variant.reference),
        _short(variant.alternative),
        f"{variant.quality:.0f}",
        f"{variant.depth}",
        f"{support} of {counted}",
    )
    style = "" if variant.passed else ' class="weak"'
    filled = (f'<td class="{kind}">{escape(value)}</td>' for (kind, _), value in zip(_COLUMNS, cells, strict=True))
    return f"<tr{style}>{''.join(filled)}</tr>"


_PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #dde2e8; --back: #fff; --card: #f5f7f9;
  --depth: #7ba7d0; --snv: #c2410c; --del: #6d28d9; --ins: #15803d; --cpx: #be185d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --line: #333c48; --back: #14181e; --card: #1d232b;
  --depth: #3f6d99; --snv: #fb923c; --del: #a78bfa; --ins: #4ade80; --cpx: #f472b6; } }
body { margin: 2rem auto; padding: 0 1rem; max-width: 64rem; background: var(--back); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 1rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { color: var(--soft); margin: .25rem 0; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 0; }
.card { background: var(--card); border-radius: 8px; padding: .6rem .8rem; } dt, dd { margin: 0; font-size: .85rem; color: var(--soft); }
.card .value { font-size: 1.5rem; font-weight: 600; color: var(--ink); }
svg { width: 100%; min-width: 44rem; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--soft); } .end { text-anchor: end; } .mid { text-anchor: middle; }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); } .depth { fill: var(--depth); }
.snv { fill: var(--snv); } .del { fill: var(--del); } .ins { fill: var(--ins); } .cpx { fill: var(--cpx); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { padding: .25rem .75rem; text-align: left; border-bottom: 1px solid var(--line); } 
.num { text-align: right; font-variant-numeric: tabular-nums; } td.allele { font-family: ui-monospace, monospace; overflow-wrap: anywhere; } .weak { color: var(--soft); font-style: italic; }
</style>
<h1>$title</h1>
<dl>
$cards
</dl>
<h2>Depth</h2>
<p>Reads over each base, averaged over the width of one point of the plot; below it, a mark for each variant that passed.</p>
<div class="scroll">$plot</div>
<h2>Variants</h2>
<p>Grey italics: too weak to trust (filter LOWQUAL). Support: reads that show the alternative, of those that show either allele.</p>
<div class="scroll"><table>
<thead><tr>$heads</tr></thead>
<tbody>
$rows
</tbody></table></div>
</html>
""")
