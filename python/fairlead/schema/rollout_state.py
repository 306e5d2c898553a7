"""A rollout as it stands: its state, what was counted, what was decided."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from fairlead.schema.base import Document
from fairlead.schema.bundle import BundleName, Sha256
from fairlead.schema.control import KeyRole
from fairlead.schema.guardrail import GuardrailAction, GuardrailKind, GuardrailName
from fairlead.schema.outcome_evidence import OutcomeEvidence
from fairlead.schema.registry import DecisionRecord, Difference, Microseconds, Verdict
from fairlead.schema.rollout import Rollout
from fairlead.schema.signature import Scalar
from fairlead.schema.snapshot import Routing, SliceColumn, Version
from fairlead.schema.telemetry import Count


class Phase(StrEnum):
    PROGRESSING = "progressing"
    PAUSED = "paused"
    """Until somebody resumes: a person asked, or the step does."""
    HELD = "held"
    """The engine will not go on by itself; a person resumes, promotes or aborts."""
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    UNDONE = "undone"
    """Promoted, and then the former champion was put back."""

    @property
    def ended(self) -> bool:
        """Whether nothing more is decided."""
        return self in (Phase.PROMOTED, Phase.ROLLED_BACK, Phase.UNDONE)


class Action(StrEnum):
    ADVANCE = "advance"
    HOLD = "hold"
    ROLLBACK = "rollback"
    PROMOTE = "promote"
    PAUSE = "pause"
    NONE = "none"


class Contender(Document):
    """A bundle that takes part, and what the endpoint calls it."""

    version: Version
    sha256: Sha256


class Allocation(Document):
    """One epoch: the time in which shares did not change."""

    epoch: Count
    share: float = Field(ge=0, le=1)
    shadow_share: float = Field(default=0.0, ge=0, le=1)
    regions: list[str] | None = None
    since_us: Microseconds
    matched: bool = False
    """The challenger is compared with the matched control."""

    @property
    def compared_share(self) -> float:
        """The challenger's, of the units that are compared."""
        return 0.5 if self.matched and 0 < self.share <= 0.5 else self.share


class Approval(Document):
    step: Count
    actor: str
    role: KeyRole
    at_us: Microseconds


class CohortSize(Document):
    """A cohort as it was asked for and as it has become."""

    max_units: int
    known_units: int
    """Different units that the endpoint has seen, estimated."""
    share: float
    achieved: int
    """The challenger's, estimated."""


class Recalibration(Document):
    """The threshold at which a challenger acts as often as the champion, on the pairs that a shadow has shown."""

    threshold: float
    pairs: Count
    """Rows that both decided."""
    champion_rate: float
    """Part of them for which the champion decided the positive class."""
    challenger_rate: float
    """Part of them that the challenger scored at the threshold or above."""
    uncorrected_rate: float
    """The same at the challenger's own threshold."""


class RolloutState(Document):
    """All that is kept; with the document and the counts it determines what happens next."""

    phase: Phase
    step: Count = 0
    """Index of the step in force; the number of steps where all are done."""
    step_started_us: Microseconds
    started_us: Microseconds
    run: int = Field(default=1, ge=1)
    champion: Contender
    challenger: Contender
    labels: list[Scalar] = Field(default_factory=list)
    """Of the decision, in the order in which telemetry counts them."""
    slice_sizes: dict[SliceColumn, Count] = Field(default_factory=dict)
    """How many slices a column can have: values, all others, missing."""
    routing: Routing | None
    """As published; None: there is none any more."""
    allocations: list[Allocation] = Field(default_factory=list)
    approvals: list[Approval] = Field(default_factory=list)
    overruled: list[str] = Field(default_factory=list)
    """Reasons to hold that a person has overruled: guardrails, `timeout:STEP`, `maxDuration`."""
    holding: str | None = None
    """What a person would overrule by resuming, where the phase is `held`."""
    void: bool = False
    """The split was refuted: no evidence of this run means anything."""
    cohort: CohortSize | None = None
    recalibration: Recalibration | None = None
    """As it was found at cut-over; the challenger decides by it from then on, also as champion."""
    last: tuple[Action, Verdict, str] | None = None
    """The last decision, so that it is recorded once."""


class ArmEvidence(Document):
    """What one arm counted in one epoch."""

    requests: Count = 0
    units: Count = 0
    errors: Count = 0
    """Units with at least one; as the next."""
    violations: Count = 0
    decisions: list[Count] = Field(default_factory=list)
    scores: list[Count] = Field(default_factory=list)
    latencies: list[Count] = Field(default_factory=list)


class SliceArm(Document):
    """What one arm counted in one slice in one epoch; as in `ArmEvidence`."""

    units: Count = 0
    errors: Count = 0
    violations: Count = 0
    decisions: list[Count] = Field(default_factory=list)


class SliceEvidence(Document):
    """One slice, as in `SliceCounts`."""

    column: SliceColumn
    value: Scalar | None = None
    other: bool = False
    champion: SliceArm = SliceArm()
    challenger: SliceArm = SliceArm()


class EpochEvidence(Document):
    epoch: Count
    champion: ArmEvidence = ArmEvidence()
    """Of the units that are compared: where the control is matched, those."""
    challenger: ArmEvidence = ArmEvidence()
    slices: list[SliceEvidence] = Field(default_factory=list)
    duplication: float = Field(default=1.0, ge=1)
    """How many replicas saw a unit, on average: units are counted once by each."""
    pairs: Count = 0
    """Of answers, the shadow's and the one given."""
    flips: list[tuple[Scalar, Scalar, Count]] = Field(default_factory=list)
    shadow_failures: Count = 0
    shadow_scores: list[tuple[Count, Count]] = Field(default_factory=list)
    """As telemetry has them (`ShadowCounts.scores`)."""


class Evidence(Document):
    """What is known at one moment."""

    epochs: list[EpochEvidence] = Field(default_factory=list)
    known_units: Count = 0
    """Different units that the endpoint has seen in the regions in force, by the sketches."""
    challenger_units: Count = 0
    """Different units of the challenger in this rollout."""
    requests_per_second: float = Field(default=0.0, ge=0)
    """That replicas compared, on average over the present epoch."""
    replicas_expected: Count = 0
    replicas_reporting: Count = 0
    replicas_behind: Count = 0
    """Report, but have not applied what they were told long ago."""
    oldest_report_us: Microseconds = 0
    """Age of the oldest report of those that should report."""
    regions_reporting: list[str] = Field(default_factory=list)
    outcomes: OutcomeEvidence | None = None
    """None where no guardrail asks for outcomes."""


class SliceAssessment(Document):
    """The evidence on one slice; logarithms of e-values of its own."""

    column: SliceColumn
    value: Scalar | None
    other: bool
    units: Count
    """Compared, of both arms."""
    champion: Count
    challenger: Count
    """Units with the outcome; as in `Assessment`."""
    ratio: float | None
    harm_log_e: float
    safe_log_e: float | None
    harmful: bool
    """Named by e-BH."""
    safe: bool
    small: bool
    """Too small to tell: fewer units than `minSliceUnits`."""

    @property
    def name(self) -> str:
        """Column and value, in words."""
        if self.value is not None:
            return f"{self.column}={json.dumps(self.value) if isinstance(self.value, bool) else self.value}"
        return f"{self.column}: {'all others' if self.other else 'missing'}"


class Assessment(Document):
    """One guardrail's evidence; logarithms of e-values. None: it cannot be computed."""

    name: GuardrailName
    kind: GuardrailKind
    action: GuardrailAction
    alpha_harm: float
    alpha_safe: float
    harm_log_e: float | None
    safe_log_e: float | None
    """None where no margin was declared, or nothing was counted."""
    champion: Count
    """Units (or pairs, or requests) with the outcome."""
    challenger: Count
    ratio: float | None
    """Of the rates observed, over epochs; no claim."""
    harmful: bool
    safe: bool
    slices: list[SliceAssessment] = Field(default_factory=list)
    """Of a guardrail with `by`; strongest evidence of harm first."""
    slices_possible: Count = 0
    """How many slices e-BH accounts for."""


class Assessments(Document):
    """All that can be read from the counts."""

    guardrails: list[Assessment] = Field(default_factory=list)
    split_log_e: float = 0.0
    """That units do not fall to arms in the intended shares."""
    split_alpha: float
    split_refuted: bool = False
    champion_units: Count = 0
    challenger_units: Count = 0
    """Both by comparison: only epochs and regions in which units were divided."""


class RolloutDecision(Document):
    """What follows, and everything to recompute it: `fairlead.rollout.replay` does."""

    action: Action
    verdict: Verdict
    reason: str
    step: Count
    at_us: Microseconds
    assessments: Assessments | None = None
    evidence: Evidence | None = None
    code_version: str
    actor: str = "control"


class RolloutView(Document):
    """A rollout with its state and what the counts say now."""

    rollout: Rollout
    state: RolloutState
    evidence: Evidence
    assessments: Assessments
    revision: int
    created_us: Microseconds
    created_by: str
    updated_us: Microseconds


class Change(StrEnum):
    CREATED = "created"
    STARTED = "started"
    """An ended one was started again."""
    UNCHANGED = "unchanged"


class RolloutApplied(Document):
    """What applying a document did, or would do."""

    name: BundleName
    change: Change
    dry_run: bool
    differences: list[Difference]
    """Between the document that is kept and the one given."""
    view: RolloutView | None


class RolloutEvents(Document):
    """What happened to one rollout, newest first."""

    name: BundleName
    events: list[DecisionRecord]


class RolloutCommand(StrEnum):
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"
    UNDO = "undo"
    APPROVE = "approve"


class RolloutAction(Document):
    reason: Annotated[str, Field(max_length=2_000)] = ""


class PlannedGuardrail(Document):
    """What the cohort can show of one rate, beforehand. None: never, or more than anybody waits for."""

    name: GuardrailName
    base_rate: float
    base_rate_from: Literal["asked", "observed"]
    share: float
    harm: list[dict[str, Any]]
    safe: dict[str, Any]
    detectable_ratio: float | None
    certifiable_margin: float | None
    safe_power: float | None


class RolloutPlan(Document):
    name: BundleName
    cohort: int | None
    units_per_hour: float | None
    guardrails: list[PlannedGuardrail]
    remarks: list[str]
