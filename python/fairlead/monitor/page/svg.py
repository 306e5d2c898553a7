"""The two pictures of the page, as SVG that takes its colours from the page's style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from fairlead.schema.comparison import LARGEST_EFFECT, Distribution, Effect

WIDTH, HEIGHT = 560, 190
LEFT, RIGHT, TOP, BOTTOM = 8, 8, 8, 24
TAIL = 26
"""Width of the bars for what lies outside, on each side."""
ROW = 24
LABEL = 150
LONGEST_LABEL = 22
EFFECT_WIDTH, EFFECT_HEIGHT = 150, 14
EFFECT_SPAN = 1.0
"""The scale of effects ends here; what is larger ends in an arrow."""
GRADES = (0.1, 0.3162, 0.5)


def number(value: float) -> str:
    """A number as an axis shows it."""
    return f"{value:.4g}"


def distribution(found: Distribution, name: str) -> str:
    """Draw both sides: the reference as a filled shape, current as a line over it; labels as pairs of bars."""
    title = f"Distribution of {name}: reference and current"
    return _bars(found, title) if found.labels else _steps(found, title)


def effect(found: Effect) -> str:
    """Draw size and interval on a scale from 0 to 1 standard deviation with the grades marked."""

    def x(value: float) -> float:
        return 4 + (EFFECT_WIDTH - 12) * min(value, EFFECT_SPAN) / EFFECT_SPAN

    middle = EFFECT_HEIGHT / 2
    words = f"{number(found.size)} ({number(found.low)} to {number(found.high)})"
    marks = "".join(f'<line class="grade" x1="{x(g):.1f}" x2="{x(g):.1f}" y1="1" y2="13"/>' for g in GRADES)
    beyond = found.high > EFFECT_SPAN
    end = EFFECT_WIDTH - 2
    arrow = f'<path class="beyond" d="M{end - 6} 3 L{end} 7 L{end - 6} 11 Z"/>' if beyond else ""
    dot = "" if found.size > EFFECT_SPAN else f'<circle class="size" cx="{x(found.size):.1f}" cy="{middle}" r="3.5"/>'
    return (
        f'<svg class="effect" width="{EFFECT_WIDTH}" height="{EFFECT_HEIGHT}" role="img" aria-label="{words}">'
        f"<title>{words}</title>{marks}"
        f'<line class="span" x1="{x(found.low):.1f}" x2="{x(found.high):.1f}" y1="{middle}" y2="{middle}"/>'
        f"{arrow}{dot}</svg>"
    )


def size_words(found: Effect) -> str:
    """The size as a number; no overlap at all is infinite."""
    return "∞" if found.size >= LARGEST_EFFECT else f"{found.size:.2f}"


def _steps(found: Distribution, title: str) -> str:
    shares = list(zip(found.reference, found.current, strict=True))
    top = max(max(pair) for pair in shares) or 1.0
    inner = (WIDTH - LEFT - RIGHT - 2 * TAIL) / max(1, len(shares) - 2)
    starts = [LEFT, *(LEFT + TAIL + inner * at for at in range(len(shares) - 1))]
    widths = [TAIL - 6.0, *([inner] * (len(shares) - 2)), TAIL - 6.0]
    starts[-1] += 6
    floor = HEIGHT - BOTTOM

    def y(share: float) -> float:
        return floor - (floor - TOP) * share / top

    def path(side: Sequence[float], *, filled: bool) -> str:
        return "".join(
            f"{'M' if at in {0, 1, len(side) - 1} else 'L'}{starts[at]:.1f} "
            f"{(floor if filled and at in {0, 1, len(side) - 1} else y(share)):.1f}"
            f"{f'V{y(share):.1f}' if filled else ''}h{widths[at]:.1f}"
            f"{f'V{floor}' if filled and at in {0, len(side) - 2, len(side) - 1} else ''}"
            for at, share in enumerate(side)
        )

    texts = [_title(found.edges, at, len(shares)) for at in range(len(shares))]
    hovers = "".join(
        f'<rect class="hover" x="{starts[at]:.1f}" y="{TOP}" width="{widths[at]:.1f}" height="{floor - TOP}">'
        f"<title>{escape(texts[at])}: reference {known:.2%}, current {seen:.2%}</title></rect>"
        for at, (known, seen) in enumerate(shares)
    )
    ends = [(starts[1], "start", found.edges[0]), (starts[-1] - 6, "end", found.edges[-1])]
    axis = "".join(
        f'<text x="{at:.1f}" y="{HEIGHT - 7}" text-anchor="{anchor}">{number(value)}</text>'
        for at, anchor, value in ends
    )
    outside = f'<text class="faint" x="{LEFT}" y="{HEIGHT - 7}">&lt;</text>'
    outside += f'<text class="faint" x="{WIDTH - RIGHT}" y="{HEIGHT - 7}" text-anchor="end">&gt;</text>'
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'<path class="reference" d="{path(found.reference, filled=True)}"/>'
        f'<path class="current" d="{path(found.current, filled=False)}"/>'
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{floor}" y2="{floor}"/>{axis}{outside}{hovers}</svg>'
    )


def _title(edges: Sequence[float], at: int, cells: int) -> str:
    if at == 0:
        return f"below {number(edges[0])}"
    if at == cells - 1:
        return f"from {number(edges[-1])}"
    return f"{number(edges[at - 1])} to {number(edges[at])}"


def _bars(found: Distribution, title: str) -> str:
    top = max([*found.reference, *found.current]) or 1.0
    room = WIDTH - LABEL - 110
    height = ROW * len(found.labels) + 4
    rows = []
    for at, (label, known, seen) in enumerate(zip(found.labels, found.reference, found.current, strict=True)):
        y = ROW * at + 4
        shown = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
        rows.append(
            f"<g><title>{escape(label)}: reference {known:.2%}, current {seen:.2%}</title>"
            f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(shown) or "(empty)"}</text>'
            f'<rect class="reference" x="{LABEL}" y="{y}" width="{_long(room * known / top)}" height="9"/>'
            f'<rect class="current-bar" x="{LABEL}" y="{y + 10}" width="{_long(room * seen / top)}" height="9"/>'
            f'<text class="faint" x="{LABEL + room * max(known, seen) / top + 6:.1f}" y="{y + 14}">'
            f"{known:.1%} → {seen:.1%}</text></g>"
        )
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(rows)}</svg>"
    )


def _long(width: float) -> str:
    """A bar that is not nothing can be seen."""
    return f"{max(1.0, width):.1f}" if width > 0 else "0"


def bounded(value: float | None) -> str:
    """A number for a table of the page; None is nothing."""
    return "" if value is None or not math.isfinite(value) else number(value)
