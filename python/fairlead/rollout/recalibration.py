"""At cut-over: the threshold at which the challenger acts as often as the champion did on the same requests.

A better challenger may well score on another scale; at its own threshold it would then act more or less often at once,
whatever its ranking is worth. The quantile mapping takes the champion's rate on the pairs that a shadow has shown, and
the challenger's score that as many of the same rows reach.
"""

from __future__ import annotations

from collections import Counter

from fairlead.rollout.course import changed, step_of
from fairlead.rollout.steps import Look, Outcome
from fairlead.schema.registry import Verdict
from fairlead.schema.rollout_state import Action, Evidence, Recalibration
from fairlead.schema.signature import Scalar
from fairlead.schema.telemetry import LOGIT_BINS, logit_edge


def recalibrated(look: Look, outcome: Outcome) -> Outcome:
    """Return the outcome with the threshold found, where units are about to be the challenger's; else it must wait."""
    wanted = look.rollout.spec.recalibrate
    if wanted is None or look.state.recalibration is not None or not _cuts_over(look, outcome):
        return outcome
    found = equal_rate(look.evidence, look.state.labels, wanted.min_pairs)
    if isinstance(found, str):
        return look.wait(Verdict.INCONCLUSIVE, f"recalibrate: {found}")
    why = f"{outcome.reason}; the challenger decides at {found.threshold:.6g}, as often as the champion"
    return Outcome(changed(outcome.state, recalibration=found), outcome.action, outcome.verdict, why)


def equal_rate(evidence: Evidence, labels: list[Scalar], min_pairs: int) -> Recalibration | str:
    """Return the threshold at which the shadow acts as often as the champion, as nearly as can be, or why none.

    It is an edge of a bin (`logit_edge`), so that the rate which it gives on these pairs is known exactly. Where no
    score lies between several edges, it is the middle one.
    """
    scores: Counter[int] = Counter()
    given = mine = pairs = 0
    for epoch in evidence.epochs:
        scores.update(dict(epoch.shadow_scores))
        for champion, challenger, count in epoch.flips:
            pairs += count
            given += count * _is(champion, labels[1])
            mine += count * _is(challenger, labels[1])
    total = scores.total()
    if min(pairs, total) < min_pairs:
        return "fewer pairs of the shadow than minPairs"
    if given in (0, pairs):
        return "the champion has decided all pairs alike, so that no rate can be met"
    # How many scores reach each edge; the first bin has everything below, so that its edge is none.
    reached, above = {}, 0
    for number in range(LOGIT_BINS - 1, 0, -1):
        above += scores[number]
        reached[number] = above
    wanted = given / pairs * total  # a report may have caught a pair in one of the two tables only
    least = min(abs(count - wanted) for count in reached.values())
    nearest = sorted(edge for edge, count in reached.items() if abs(count - wanted) == least)
    edge = nearest[len(nearest) // 2]
    return Recalibration(
        threshold=logit_edge(edge),
        pairs=pairs,
        champion_rate=given / pairs,
        challenger_rate=reached[edge] / total,
        uncorrected_rate=mine / pairs,
    )


def _cuts_over(look: Look, outcome: Outcome) -> bool:
    """Whether units are the challenger's from here on."""
    if outcome.action is Action.PROMOTE:
        return True
    routing, here = outcome.state.routing, step_of(look.rollout, outcome.state)
    sized = here is not None and here.set_cohort is not None
    return outcome.state.step != look.state.step and routing is not None and (routing.share > 0 or sized)


def _is(one: Scalar, other: Scalar) -> bool:
    # True, 1 and 1.0 are equal, but three labels.
    return type(one) is type(other) and one == other
