"""What is wrong with a column apart from the drift of its values. Shares are compared on the same scale as drift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fairlead.monitor.pairs import CategoryPair, NumberPair, Pair, distinct
from fairlead.monitor.shift import Caution, effect_of, severity_of, verdict_of
from fairlead.schema.comparison import Effect, Finding, FindingKind, Severity, Verdict
from fairlead.store.columns import Categories, Frame, Numbers

EXAMPLES = 5
TESTS = 4
"""Effects of a column: of its values and of three shares."""
IDENTIFIER_SHARE = 0.5
IDENTIFIER_ROWS = 20
LONGEST_EXAMPLE = 80


@dataclass(frozen=True, slots=True)
class New:
    """What the reference by definition has none of: how many of its rows stand for those to be expected; some."""

    expected: int
    examples: list[str]


def findings(pair: Pair, caution: Caution) -> list[Finding]:
    """Return what is wrong with a column that both tables have and that can be compared."""
    sides = pair.reference, pair.current
    rows = [_rows(pair, at) for at in (0, 1)]
    missing = [side.missing for side in sides]
    found: list[Finding] = []
    if missing[1] == rows[1] and missing[0] < rows[0]:
        found.append(_certain(FindingKind.ALL_MISSING, "no value is left", missing[0] / rows[0], 1.0))
    else:
        found += share_changed(FindingKind.MISSING_VALUES, "the values are missing", (missing, rows), caution)
    if isinstance(pair, NumberPair):
        found += _of_numbers(pair, rows, caution)
    elif not identifier(pair):
        found += _of_categories(pair, caution)
    return found


def identifier(pair: Pair) -> bool:
    """Whether nearly every label of the reference is different: then its distribution says nothing."""
    if isinstance(pair, NumberPair):
        return False
    rows = float(pair.reference.counts.sum())
    labels = int(np.count_nonzero(pair.reference.counts))
    return rows >= IDENTIFIER_ROWS and labels > IDENTIFIER_SHARE * rows


def constant(pair: Pair, effect: Effect, caution: Caution) -> list[Finding]:
    """Say so where only one value is left of several; `effect` is that of the column's shift."""
    if isinstance(pair, NumberPair):
        values = [distinct(side.values) for side in (pair.reference, pair.current)]
        left = f"{pair.current.values[0]:g}" if len(pair.current.values) else ""
    else:
        values = [int(np.count_nonzero(side.counts)) for side in (pair.reference, pair.current)]
        left = pair.labels[int(np.argmax(pair.current.counts))] if len(pair.labels) else ""
    if values[1] != 1 or values[0] <= 1 or verdict_of(effect, caution) is not Verdict.DRIFTED:
        return []
    words = f"only {shortened(left)} is left of {values[0]:,} different values"
    return [Finding(kind=FindingKind.CONSTANT, severity=severity_of(effect.size), message=words, effect=effect)]


def share_changed(
    kind: FindingKind,
    what: str,
    counted: tuple[list[int], list[int]],
    caution: Caution,
    new: New | None = None,
) -> Iterator[Finding]:
    """Yield a finding where a share (`counted`: how many, of how many rows, each of both sides) is shown to differ."""
    (known, seen), (n, m) = counted
    expected = known if new is None else new.expected
    effect = effect_of([n - min(n, expected), expected], [m - seen, seen], caution)
    if effect is None or verdict_of(effect, caution) is not Verdict.DRIFTED:
        return
    yield Finding(
        kind=kind,
        severity=severity_of(effect.size),
        message=_words(what, known / n, seen / m),
        reference_share=known / n,
        current_share=seen / m,
        effect=effect,
        examples=[] if new is None else new.examples,
    )


def _words(what: str, known: float, seen: float) -> str:
    before = f", {known:.3%} in the reference" if known else ""
    return f"{seen:.3%} of {what}{before}"


def _certain(kind: FindingKind, message: str, known: float, seen: float) -> Finding:
    return Finding(kind=kind, severity=Severity.LARGE, message=message, reference_share=known, current_share=seen)


def _rows(pair: Pair, at: int) -> int:
    if isinstance(pair, NumberPair):
        return len((pair.reference, pair.current)[at].given)
    return len((pair.reference, pair.current)[at].codes)


def _of_numbers(pair: NumberPair, rows: list[int], caution: Caution) -> Iterator[Finding]:
    infinite = [pair.reference.infinite, pair.current.infinite]
    yield from share_changed(FindingKind.INFINITE_VALUES, "the values are infinite", (infinite, rows), caution)
    known, seen = pair.reference.values, pair.current.values
    if not len(known) or not len(seen):
        return
    below = int(np.searchsorted(seen, known[0], "left"))
    above = len(seen) - int(np.searchsorted(seen, known[-1], "right"))
    outside = [0, below + above]
    examples = [f"{value:g}" for value, there in ((seen[0], below), (seen[-1], above)) if there]
    what = f"the numbers lie outside {known[0]:g} to {known[-1]:g}"
    counted = (outside, [len(known), len(seen)])
    # The next values lie beyond the smallest and the largest of n with a chance of 2 / (n + 1).
    yield from share_changed(FindingKind.OUT_OF_RANGE, what, counted, caution, New(2, examples))


def _of_categories(pair: CategoryPair, caution: Caution) -> Iterator[Finding]:
    known, seen = pair.reference.counts, pair.current.counts
    new = np.flatnonzero((known == 0) & (seen > 0))
    if not len(new) or not known.sum():
        return
    common = new[np.argsort(-seen[new], kind="stable")[:EXAMPLES]]
    examples = [shortened(pair.labels[int(at)]) for at in common]
    kinds = f"{len(new):,} categories" if len(new) > 1 else "a category"
    what = f"the values are of {kinds} that the reference has not"
    counted = ([0, int(seen[new].sum())], [int(known.sum()), int(seen.sum())])
    # As many are to be expected as the reference has labels that occur once (Good and Turing).
    expected = int(np.count_nonzero(known == 1))
    yield from share_changed(FindingKind.UNSEEN_CATEGORIES, what, counted, caution, New(expected, examples))


def shortened(text: str) -> str:
    """Return the text, cut where it is long."""
    return text if len(text) <= LONGEST_EXAMPLE else f"{text[: LONGEST_EXAMPLE - 1]}…"


def duplicates(frame: Frame) -> int:
    """Return how many rows equal an earlier one in all columns whose values were read.

    By a 64-bit hash of each row: two different rows of a million meet in one with a chance below one in ten million.
    """
    mixed = np.zeros(frame.rows, dtype=np.uint64)
    read = [one for one in frame.columns.values() if isinstance(one, Numbers | Categories)]
    if not read:
        return 0
    for column in read:
        if isinstance(column, Numbers):
            mixed ^= (column.values + 0.0).view(np.uint64)
        else:
            mixed ^= column.codes.astype(np.uint64)
        _mix(mixed)
    mixed.sort()
    return int(np.count_nonzero(mixed[1:] == mixed[:-1]))


def _mix(state: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> None:
    """One round of splitmix64 (Steele, Lea and Flood, 2014), a bijection, in place."""
    state += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state ^= state >> np.uint64(shift)
        state *= np.uint64(factor)
    state ^= state >> np.uint64(31)
