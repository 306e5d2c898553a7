"""A rollout as people declare it: which challenger, what must not get worse, and the steps to promotion.

Camel case and one-key steps, as users of Argo Rollouts write them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from fairlead.schema.bundle import BundleName
from fairlead.schema.control import ApproverRole, KeyRole
from fairlead.schema.declared import CamelDocument, Duration
from fairlead.schema.guardrail import Guardrail, GuardrailAction, GuardrailName
from fairlead.schema.snapshot import MOST_SLICE_COLUMNS, Version

Region = Annotated[str, Field(min_length=1, max_length=100)]


class Cohort(CamelDocument):
    max_units: int = Field(ge=1)
    """Units that the challenger gets, about: the share is this over the units that the endpoint has seen."""


class ShadowTraffic(CamelDocument):
    percent: float = Field(ge=0, le=100)
    """Of requests that the challenger sees too; nobody gets its answers."""


class Pause(CamelDocument):
    duration: Duration | None = None
    """None: until somebody resumes."""


class Approve(CamelDocument):
    roles: list[ApproverRole] = Field(default_factory=lambda: [KeyRole.APPROVER], min_length=1)
    """Who may approve: any of these, and whoever may do more."""


class OnTimeout(StrEnum):
    HOLD = "hold"
    ROLLBACK = "rollback"
    PROMOTE = "promote"


class Until(CamelDocument):
    """All of it must hold."""

    proven: list[GuardrailName] = Field(default_factory=list)
    """Guardrails that must be shown safe."""
    min_units: int = Field(default=0, ge=0)
    """Of the challenger, over the rollout."""
    min_duration: Duration = 0.0


class Analysis(CamelDocument):
    until: Until
    timeout: Duration | None = None
    """None: it waits until the rollout's `maxDuration`."""
    on_timeout: OnTimeout = OnTimeout.HOLD


class Step(CamelDocument):
    """Exactly one of these."""

    set_weight: float | None = Field(default=None, ge=0, le=100)
    """Percent of units that the challenger answers."""
    set_cohort: Cohort | None = None
    set_regions: list[Region] | Literal["*"] | None = Field(default=None, min_length=1)
    shadow: ShadowTraffic | None = None
    pause: Pause | None = None
    approve: Approve | None = None
    analysis: Analysis | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            keys = ", ".join(to_camel(name) for name in type(self).model_fields)
            raise ValueError(f"a step has exactly one of {keys}; got {len(given)}")
        return self

    @property
    def kind(self) -> str:
        """The key that it has, as it is written."""
        return to_camel(next(name for name in type(self).model_fields if getattr(self, name) is not None))


class Canary(CamelDocument):
    steps: list[Step] = Field(min_length=1, max_length=100)


class BlueGreen(CamelDocument):
    """The challenger is loaded and can be asked by name; then the roles are swapped at once."""

    auto_promotion: bool = False
    auto_promotion_seconds: Duration = 0.0
    """How long the preview lasts where it promotes itself."""
    preview_seconds: Duration = 0.0
    """The least that the preview lasts, whoever promotes."""


class Strategy(CamelDocument):
    canary: Canary | None = None
    blue_green: BlueGreen | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.canary is None) == (self.blue_green is None):
            raise ValueError("a strategy is either `canary` or `blueGreen`")
        return self


class ChallengerReference(CamelDocument):
    """Either what the endpoint would call the bundle (`2`), or its sha256 or the first digits of it."""

    version: Version | None = None
    bundle: str | None = Field(default=None, pattern=r"^[0-9a-f]{6,64}$")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.version is None) == (self.bundle is None):
            raise ValueError("a challenger is either `version` or `bundle`")
        return self


class Control(StrEnum):
    """Whom the challenger's units are compared with."""

    ALL = "all"
    """All of the champion's units."""
    MATCHED = "matched"
    """As many of them as the challenger has, at the same time and counted apart; above a share of a half all."""


class OnRollback(StrEnum):
    """What becomes of a challenger that was rolled back."""

    ARCHIVE = "archive"
    LEAVE = "leave"
    """It stays challenger, without traffic."""


class Recalibrate(CamelDocument):
    """The challenger decides at another threshold, so that it acts as often as the champion does."""

    source: Literal["shadow"] = Field(default="shadow", alias="from")
    """Where both have scored the same requests."""
    min_pairs: int = Field(default=1_000, ge=1)
    """Rows that both must have decided; until then no unit is the challenger's."""


class RolloutSpec(CamelDocument):
    endpoint: BundleName
    challenger: ChallengerReference
    unit: str | None = None
    """The endpoint's unit key, said once more; None: whatever it is."""
    control: Control = Control.ALL
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """The chance that a challenger without fault is rolled back, and that one with a fault is called safe."""
    guardrails: list[Guardrail] = Field(default_factory=list, max_length=50)
    max_duration: Duration | None = None
    on_rollback: OnRollback = OnRollback.ARCHIVE
    recalibrate: Recalibrate | None = None
    """At cut-over; None: the challenger decides as its bundle says."""
    strategy: Strategy

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [guardrail.name for guardrail in self.guardrails]
        if len(set(names)) != len(names):
            raise ValueError(f"guardrail names must be unique, got {names}")
        for action in GuardrailAction:
            own = [g.alpha for g in self.guardrails if g.action is action]
            spent = sum(alpha for alpha in own if alpha is not None)
            if spent > self.alpha or (None in own and spent == self.alpha):
                raise ValueError(
                    f"guardrails to {action.value} have alphas of {spent:g} together; alpha is {self.alpha:g}"
                )
        if len(self.slice_columns) > MOST_SLICE_COLUMNS:
            raise ValueError(f"guardrails name {len(self.slice_columns)} columns in `by`; at most {MOST_SLICE_COLUMNS}")
        known = {guardrail.name: guardrail for guardrail in self.guardrails}
        for number, step in enumerate(self.steps):
            for name in step.analysis.until.proven if step.analysis is not None else ():
                if name not in known:
                    raise ValueError(f"step {number}: no guardrail {name!r} to be proven; there are {names}")
                if not known[name].can_be_proven:
                    raise ValueError(f"step {number}: {name!r} cannot be proven without a margin that accepts some")
        return self

    @model_validator(mode="after")
    def _shadow_before_units(self) -> Self:
        if self.recalibrate is None:
            return self
        divides = [number for number, step in enumerate(self.steps) if step.set_weight or step.set_cohort]
        shadows = [number for number, step in enumerate(self.steps) if step.shadow is not None and step.shadow.percent]
        if not shadows or (divides and divides[0] < shadows[0]):
            raise ValueError("recalibrate: needs a step `shadow` before the challenger gets units")
        return self

    def level(self, guardrail: Guardrail) -> float:
        """Return the chance of a false alarm of one guardrail: its own, or an even part of what is left of `alpha`."""
        if guardrail.alpha is not None:
            return guardrail.alpha
        own = [other.alpha for other in self.guardrails if other.action is guardrail.action]
        return (self.alpha - sum(alpha for alpha in own if alpha is not None)) / own.count(None)

    @property
    def slice_columns(self) -> list[str]:
        """The columns by which guardrails ask for slices, each once."""
        return list(dict.fromkeys(column for guardrail in self.guardrails for column in guardrail.columns))

    @property
    def steps(self) -> list[Step]:
        """The steps of a canary; none for blue/green."""
        return [] if self.strategy.canary is None else self.strategy.canary.steps

    @property
    def alone(self) -> bool:
        """Whether it may end in a promotion to which nobody who may make champions has said yes."""
        if self.strategy.blue_green is not None:
            return self.strategy.blue_green.auto_promotion
        gates = [step.approve.roles for step in self.steps if step.approve is not None]
        return not any(all(role.covers(KeyRole.APPROVER) for role in roles) for roles in gates)


class Metadata(CamelDocument):
    name: BundleName


class Rollout(CamelDocument):
    api_version: Literal["fairlead.dev/v1"]
    kind: Literal["Rollout"]
    metadata: Metadata
    spec: RolloutSpec

    @property
    def name(self) -> str:
        """What it is called."""
        return self.metadata.name
