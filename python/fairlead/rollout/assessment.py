"""From counts to evidence: what each guardrail shows, and whether units were divided as told. Never pooled over shares.

A unit that several replicas saw was counted by each of them. Counts of units are divided by how often that is
(`EpochEvidence.duplication`), alike in both arms: ten reports of one unit are one toss of the coin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

from fairlead.rollout.evidence.distribution import kolmogorov_smirnov, share_log_ratio, shift_log_e
from fairlead.rollout.evidence.quantile import Histogram, QuantileTest
from fairlead.rollout.evidence.ramp import Epoch, RatioTest, Side
from fairlead.rollout.evidence.shares import mismatch_log_e
from fairlead.schema.guardrail import Direction, Guardrail, GuardrailKind, Margin
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import ArmEvidence, Assessment, Assessments, EpochEvidence, Evidence, RolloutState
from fairlead.schema.signature import Scalar
from fairlead.schema.telemetry import LATENCY_EDGES_US, SCORE_BINS

SPLIT_ALPHA = 0.001
"""The chance that a router without fault is said to have one: a rollout that it ends must begin again."""
_LATENCY_EDGES = np.array([0.0, *np.nextafter(np.array(LATENCY_EDGES_US, dtype=np.float64), np.inf), np.inf])
"""Bins are open below and closed above; a histogram's are the other way round."""
_SMALLEST_P = 1e-12


@dataclass(frozen=True, slots=True)
class Compared:
    """An epoch in which units were divided."""

    index: int
    """Among all epochs of the rollout, from 1."""
    share: float
    counted: EpochEvidence

    def units(self, count: int) -> int:
        """Return how many units, of which replicas counted `count`."""
        return int(count // self.counted.duplication)


@dataclass(frozen=True, slots=True)
class Shown:
    """Logarithms of the evidence, and the outcomes counted."""

    harm: float | None
    safe: float | None
    champion: int = 0
    challenger: int = 0
    ratio: float | None = None


def assess(rollout: Rollout, state: RolloutState, evidence: Evidence) -> Assessments:
    """Return what the counts show."""
    compared = comparable(state, evidence)
    split = split_log_e(compared)
    return Assessments(
        guardrails=[_assessment(rollout, state, one, (compared, evidence)) for one in rollout.spec.guardrails],
        split_log_e=split,
        split_alpha=SPLIT_ALPHA,
        split_refuted=split >= -log(SPLIT_ALPHA),
        champion_units=sum(one.units(one.counted.champion.units) for one in compared),
        challenger_units=sum(one.units(one.counted.challenger.units) for one in compared),
    )


def comparable(state: RolloutState, evidence: Evidence) -> list[Compared]:
    """Return the epochs in which both arms had units."""
    counted = {one.epoch: one for one in evidence.epochs}
    return [
        Compared(index, allocation.share, counted[allocation.epoch])
        for index, allocation in enumerate(state.allocations, start=1)
        if 0 < allocation.share < 1 and allocation.epoch in counted
    ]


def split_log_e(compared: Sequence[Compared]) -> float:
    """Return the logarithm of the evidence that units do not fall to arms in the intended shares."""
    if not compared:
        return 0.0
    units = [[one.units(one.counted.challenger.units), one.units(one.counted.champion.units)] for one in compared]
    return float(mismatch_log_e(units, [[one.share, 1 - one.share] for one in compared]))


def _assessment(
    rollout: Rollout, state: RolloutState, guardrail: Guardrail, seen: tuple[list[Compared], Evidence]
) -> Assessment:
    compared, evidence = seen
    if guardrail.kind is GuardrailKind.FLIPS:
        shown = _flips(guardrail, evidence)
    elif guardrail.kind is GuardrailKind.QUANTILE:
        shown = _quantile(guardrail, compared)
    elif guardrail.kind is GuardrailKind.DISTRIBUTION:
        shown = _distribution(guardrail, compared)
    else:
        shown = _rate(guardrail, compared, state.labels)
    harm_alpha = rollout.spec.level(guardrail)
    safe_alpha = guardrail.alpha or rollout.spec.alpha
    return Assessment(
        name=guardrail.name,
        kind=guardrail.kind,
        action=guardrail.action,
        alpha_harm=harm_alpha,
        alpha_safe=safe_alpha,
        harm_log_e=shown.harm,
        safe_log_e=shown.safe if guardrail.can_be_proven else None,
        champion=shown.champion,
        challenger=shown.challenger,
        ratio=shown.ratio,
        harmful=shown.harm is not None and shown.harm >= -log(harm_alpha),
        safe=guardrail.can_be_proven and shown.safe is not None and shown.safe >= -log(safe_alpha),
    )


def _rate(guardrail: Guardrail, compared: Sequence[Compared], labels: Sequence[Scalar]) -> Shown:
    """Units by an outcome: of each epoch the challenger's share is known, and the ratio is what is asked for."""
    rows = []
    for one in compared:
        mine = one.units(_outcomes(guardrail, one.counted.challenger, labels))
        theirs = one.units(_outcomes(guardrail, one.counted.champion, labels))
        rows.append((one.share, mine, theirs))
    expected = sum(theirs * share / (1 - share) for share, _, theirs in rows)
    mine = sum(row[1] for row in rows)
    theirs = sum(row[2] for row in rows)
    ratio = mine / expected if expected else None
    return _shown(guardrail, rows, Shown(None, None, theirs, mine, ratio))


def _flips(guardrail: Guardrail, evidence: Evidence) -> Shown:
    """Answers that became the label against answers that ceased to be it: a fair coin where the models are alike."""
    became = ceased = 0
    for given, other, count in (flip for epoch in evidence.epochs for flip in epoch.flips):
        was, is_ = _same(given, guardrail.metric), _same(other, guardrail.metric)
        became += count if is_ and not was else 0
        ceased += count if was and not is_ else 0
    ratio = became / ceased if ceased else None
    return _shown(guardrail, [(0.5, became, ceased)], Shown(None, None, ceased, became, ratio))


def _shown(guardrail: Guardrail, rows: Sequence[tuple[float, int, int]], counted: Shown) -> Shown:
    """Evidence on rows of (challenger's share, its outcomes, the champion's outcomes)."""
    up = [Epoch(share, mine, mine + theirs) for share, mine, theirs in rows]
    down = [Epoch(1 - share, theirs, mine + theirs) for share, mine, theirs in rows]
    sides = {Direction.INCREASE: [up], Direction.DECREASE: [down], Direction.EITHER: [up, down]}[guardrail.direction]
    harm_test = RatioTest(Side.HARM, _ratio(guardrail.harm_margin))
    safe_test = RatioTest(Side.SAFE, _ratio(guardrail.margin))
    harm = [harm_test.log_e_of(side) for side in sides]
    # Harm on either side: the mean of two e-values is one. Safety on both sides: each must be shown.
    mixed = float(np.logaddexp.reduce(harm) - log(len(harm)))
    safe = min(safe_test.log_e_of(side) for side in sides)
    return Shown(mixed, safe, counted.champion, counted.challenger, counted.ratio)


def _quantile(guardrail: Guardrail, compared: Sequence[Compared]) -> Shown:
    assert guardrail.q is not None
    bins = len(LATENCY_EDGES_US) + 1
    harm = safe = 0.0
    sums = np.zeros((2, bins))
    for one in compared:
        counted = [_padded(arm.latencies, bins) for arm in (one.counted.champion, one.counted.challenger)]
        champion, challenger = (Histogram.of(_LATENCY_EDGES, counts) for counts in counted)
        harm += float(_quantile_test(Side.HARM, guardrail.q, guardrail.harm_margin).log_e(champion, challenger))
        safe += float(_quantile_test(Side.SAFE, guardrail.q, guardrail.margin).log_e(champion, challenger))
        sums += counted
    sizes = sums.sum(axis=1)
    ratio = None
    if sizes.all():
        places = [int(np.searchsorted(np.cumsum(row), guardrail.q * row.sum())) for row in sums]
        tops = [LATENCY_EDGES_US[min(place, bins - 2)] for place in places]
        ratio = tops[1] / tops[0]
    return Shown(harm, safe, int(sizes[0]), int(sizes[1]), ratio)


def _quantile_test(side: Side, q: float, margin: Margin | None) -> QuantileTest:
    shift = 1_000 * (margin.abs or 0.0) if margin is not None else 0.0  # milliseconds, counted in microseconds
    return QuantileTest(side, q, ratio=_ratio(margin), shift=shift)


def _distribution(guardrail: Guardrail, compared: Sequence[Compared]) -> Shown:
    if not compared:
        return Shown(0.0, 0.0)
    mine = np.array([[one.units(n) for n in _padded(one.counted.challenger.scores, SCORE_BINS)] for one in compared])
    theirs = np.array([[one.units(n) for n in _padded(one.counted.champion.scores, SCORE_BINS)] for one in compared])
    shares, both = [one.share for one in compared], mine + theirs
    # A unit is counted when it is answered: a slow challenger lags behind its share, in all bins alike.
    harm = float(shift_log_e(shares, mine, both) - share_log_ratio(shares, mine, both))
    safe = 0.0
    if guardrail.margin is not None and guardrail.margin.abs:
        # The newest epoch only, as distributions may drift between epochs; its level pays for those before it.
        index = compared[-1].index
        safe = _within_log(theirs[-1], mine[-1], guardrail.margin.abs) - log(index * (index + 1))
    return Shown(harm, safe, int(theirs.sum()), int(mine.sum()))


def _within_log(champion: np.ndarray, challenger: np.ndarray, margin: float) -> float:
    """Return -ln of the smallest level at which the distributions are surely within `margin`."""

    def within(log_p: float) -> bool:
        found = kolmogorov_smirnov(champion, challenger, exp(log_p))
        return found.distance + found.radius <= margin

    low, high = log(_SMALLEST_P), log(0.5)
    if not within(high):
        return 0.0
    if within(low):
        return -low
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if within(middle) else (middle, high)
    return -high


def _outcomes(guardrail: Guardrail, arm: ArmEvidence, labels: Sequence[Scalar]) -> int:
    if guardrail.kind is GuardrailKind.RATE:
        return arm.errors
    if guardrail.kind is GuardrailKind.VIOLATIONS:
        return arm.violations
    places = [place for place, label in enumerate(labels) if _same(label, guardrail.metric)]
    return sum(arm.decisions[place] for place in places if place < len(arm.decisions))


def _same(label: Scalar, other: Scalar | None) -> bool:
    """Whether two labels are one; True is not 1."""
    return isinstance(label, bool) == isinstance(other, bool) and label == other


def _ratio(margin: Margin | None) -> float:
    return 1.0 if margin is None or margin.ratio is None else margin.ratio


def _padded(counts: Sequence[int], size: int) -> list[int]:
    return [*counts, *([0] * (size - len(counts)))]
