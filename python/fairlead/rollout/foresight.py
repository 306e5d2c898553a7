"""What a declared rollout can and cannot find out, told before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fairlead.rollout.evidence.planning import Need, Question, plan
from fairlead.rollout.slicing import OPEN_SIZE
from fairlead.schema.declared import duration_text
from fairlead.schema.guardrail import Guardrail, GuardrailKind
from fairlead.schema.outcome_metrics import LabelMethod, LabelTiming
from fairlead.schema.rollout import Control, Rollout
from fairlead.schema.rollout_state import PlannedGuardrail

_HALF = 0.5
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
    slice_sizes: Mapping[str, int] = field(default_factory=dict)
    """How many slices each column that guardrails name can have."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """The widest comparison that the steps make."""

    share: float | None
    """The challenger's, of all units."""
    cohort: int | None
    matched: bool = False

    @property
    def compared(self) -> float:
        """The challenger's share of the units compared."""
        share = self.share or _HALF
        return max(share, _HALF) if self.matched else share


def ramp_of(rollout: Rollout, known: Known) -> Ramp:
    """Return the share at which most is compared, and the cohort where one is declared."""
    weights = [step.set_weight / 100 for step in rollout.spec.steps if step.set_weight is not None]
    inside = [weight for weight in weights if 0 < weight < 1]
    cohorts = [step.set_cohort.max_units for step in rollout.spec.steps if step.set_cohort is not None]
    cohort = max(cohorts) if cohorts and not inside else None
    if cohort is not None and known.units:
        inside = [min(0.5, cohort / known.units)]
    widest = max(inside, key=lambda weight: weight * (1 - weight)) if inside else None
    return Ramp(widest, cohort, rollout.spec.control is Control.MATCHED)


def planned(rollout: Rollout, guardrail: Guardrail, known: Known, ramp: Ramp) -> PlannedGuardrail | None:
    """Return what the rollout can find out about one guardrail; None where it cannot be computed."""
    rate = _rate(guardrail, known)
    if not _can_be_planned(guardrail) or rate is None:
        return None
    share = ramp.share or _HALF
    margin = guardrail.margin.ratio if guardrail.margin is not None and guardrail.margin.ratio is not None else 1.0
    harm = guardrail.harm_margin.ratio if guardrail.harm_margin is not None else None
    level, by_slice = rollout.spec.level(guardrail), guardrail.by is not None
    question = Question(
        base_rate=rate,
        share=ramp.compared,
        safe_margin=margin if margin > 1 else 1.25,
        alpha=level,
        # How large a slice is, nobody has said.
        cohort=None if by_slice else ramp.cohort,
        units_per_hour=None if known.units_per_hour is None or by_slice else known.units_per_hour * share,
        harm_margin=harm or 1.0,
    )
    found = plan(question)
    # To be named alone takes a slice as much evidence as there can be slices.
    harmed = plan(replace(question, alpha=level / _possible(guardrail, known))).harm if by_slice else found.harm
    return PlannedGuardrail(
        name=guardrail.name,
        base_rate=rate,
        base_rate_from="asked" if known.base_rate is not None else "observed",
        share=ramp.compared,
        harm=[_need(need, guardrail) for need in harmed],
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
        elif guardrail.by is not None:
            columns, possible = ", ".join(guardrail.columns), _possible(guardrail, known)
            found.append(
                f"{guardrail.name}: units are those of one slice by {columns}, of {possible} that there can be; "
                f"slices of fewer than {guardrail.min_slice_units} are too small to tell"
            )
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


def _possible(guardrail: Guardrail, known: Known) -> int:
    return sum(known.slice_sizes.get(column, OPEN_SIZE) for column in guardrail.columns)


def _need(need: Need, guardrail: Guardrail) -> dict[str, Any]:
    found = asdict(need)
    if found["hours"] is not None and guardrail.labels is not None:
        found["hours"] += label_seconds(guardrail.labels) / 3_600
    return found
