"""What a declared rollout can and cannot find out, told before it starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fairlead.rollout.evidence.planning import Need, Question, plan
from fairlead.schema.declared import duration_text
from fairlead.schema.guardrail import Guardrail, GuardrailKind
from fairlead.schema.outcome_metrics import LabelMethod, LabelTiming
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import PlannedGuardrail

_PLANNED = (GuardrailKind.RATE, GuardrailKind.VIOLATIONS, GuardrailKind.OUTCOME)


@dataclass(frozen=True, slots=True)
class Known:
    """Of the endpoint, as asked or as counted."""

    base_rate: float | None = None
    units_per_hour: float | None = None
    units: int = 0
    champion_units: int = 0
    errors: int = 0
    violations: int = 0


@dataclass(frozen=True, slots=True)
class Ramp:
    """The widest comparison that the steps make."""

    share: float | None
    cohort: int | None


def ramp_of(rollout: Rollout, known: Known) -> Ramp:
    """Return the share at which most is compared, and the cohort where one is declared."""
    weights = [step.set_weight / 100 for step in rollout.spec.steps if step.set_weight is not None]
    inside = [weight for weight in weights if 0 < weight < 1]
    cohorts = [step.set_cohort.max_units for step in rollout.spec.steps if step.set_cohort is not None]
    cohort = max(cohorts) if cohorts and not inside else None
    if cohort is not None and known.units:
        inside = [min(0.5, cohort / known.units)]
    return Ramp(max(inside, key=lambda weight: weight * (1 - weight)) if inside else None, cohort)


def planned(rollout: Rollout, guardrail: Guardrail, known: Known, ramp: Ramp) -> PlannedGuardrail | None:
    """Return what the rollout can find out about one guardrail; None where it cannot be computed."""
    rate = _rate(guardrail, known)
    if not _can_be_planned(guardrail) or rate is None:
        return None
    share = ramp.share or 0.5
    margin = guardrail.margin.ratio if guardrail.margin is not None and guardrail.margin.ratio is not None else 1.0
    harm = guardrail.harm_margin.ratio if guardrail.harm_margin is not None else None
    question = Question(
        base_rate=rate,
        share=share,
        safe_margin=margin if margin > 1 else 1.25,
        alpha=rollout.spec.level(guardrail),
        cohort=ramp.cohort,
        units_per_hour=None if known.units_per_hour is None else known.units_per_hour * share,
        harm_margin=harm or 1.0,
    )
    found = plan(question)
    return PlannedGuardrail(
        name=guardrail.name,
        base_rate=rate,
        base_rate_from="asked" if known.base_rate is not None else "observed",
        share=share,
        harm=[_need(need, guardrail) for need in found.harm],
        safe=_need(found.safe, guardrail),
        detectable_ratio=found.detectable_ratio,
        certifiable_margin=found.certifiable_margin,
        safe_power=found.safe_power,
    )


def remarks(rollout: Rollout, known: Known, ramp: Ramp) -> list[str]:
    """Return what a reader should know besides."""
    found = []
    for guardrail in rollout.spec.guardrails:
        if not _can_be_planned(guardrail):
            what = guardrail.metric if guardrail.kind is GuardrailKind.OUTCOME else guardrail.kind.value
            found.append(f"{guardrail.name}: what a {what} takes is not planned")
        elif _rate(guardrail, known) is None:
            found.append(f"{guardrail.name}: no base rate is known; give one")
        found += _labels(guardrail)
    if rollout.spec.strategy.blue_green is not None:
        return [*found, "blue/green divides no units: guardrails see nothing"]
    if ramp.share is None:
        found.append("no step divides units by weight, and no units are known to size a cohort by: a half is assumed")
    if not rollout.spec.guardrails:
        found.append("no guardrails: nothing would ever be rolled back")
    if any(step.set_weight == 100 for step in rollout.spec.steps):
        found.append("at setWeight 100 there is no control left, and nothing can be compared")
    return found


def _can_be_planned(guardrail: Guardrail) -> bool:
    return guardrail.kind in _PLANNED and guardrail.costs is None


def _labels(guardrail: Guardrail) -> list[str]:
    """What late labels do to the plan of a guardrail on outcomes."""
    if guardrail.labels is None:
        return []
    waits = duration_text(label_seconds(guardrail.labels))
    found = [f"{guardrail.name}: hours include the {waits} until outcomes are known, if all of them become known"]
    if guardrail.outcome_metric.among_positives:
        found.append(
            f"{guardrail.name}: units are those decided positive; give the base rate, and the traffic, of them"
        )
    return found


def label_seconds(timing: LabelTiming) -> float:
    """Return how long after its prediction a unit's outcome usually counts."""
    wait = timing.delay if timing.method is LabelMethod.RISK_SETS else timing.mature_after or 0.0
    return wait + timing.cohort_seconds


def _rate(guardrail: Guardrail, known: Known) -> float | None:
    if known.base_rate is not None:
        return known.base_rate
    if guardrail.kind is GuardrailKind.OUTCOME:
        return None  # what telemetry counts are no outcomes
    count = known.errors if guardrail.kind is GuardrailKind.RATE else known.violations
    rate = count / known.champion_units if known.champion_units else 0.0
    return rate if 0 < rate < 1 else None


def _need(need: Need, guardrail: Guardrail) -> dict[str, Any]:
    found = asdict(need)
    if found["hours"] is not None and guardrail.labels is not None:
        found["hours"] += label_seconds(guardrail.labels) / 3_600
    return found
