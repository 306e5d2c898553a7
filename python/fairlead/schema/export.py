"""The documents that cross a boundary, by kind, and their JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fairlead.schema.base import Document
from fairlead.schema.bundle import Checks, Environment, Lineage, Manifest
from fairlead.schema.comparison import Comparison
from fairlead.schema.control import (
    DeliveryRecord,
    Health,
    KeyRequest,
    NewKey,
    NewWebhook,
    ReplicaRecord,
    TelemetryReceipt,
    WebhookRequest,
)
from fairlead.schema.drift_state import DriftState
from fairlead.schema.golden import Golden
from fairlead.schema.outcome_evidence import OutcomeEvidence
from fairlead.schema.outcomes import OutcomeBatch, OutcomeReceipt, OutcomeRecord
from fairlead.schema.profile import Profile
from fairlead.schema.registry import (
    BundleDiff,
    BundleView,
    DecisionRecord,
    EndpointRecord,
    EndpointSettings,
    RoleAssignment,
    RoleMove,
    TagValue,
)
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import (
    RolloutAction,
    RolloutApplied,
    RolloutDecision,
    RolloutEvents,
    RolloutPlan,
    RolloutState,
    RolloutView,
)
from fairlead.schema.serve import ServeOptions
from fairlead.schema.signature import Signature
from fairlead.schema.snapshot import Snapshot
from fairlead.schema.telemetry import Telemetry

DOCUMENTS: Mapping[str, type[Document]] = {
    "bundle_diff": BundleDiff,
    "bundle_view": BundleView,
    "checks": Checks,
    "comparison": Comparison,
    "decision_record": DecisionRecord,
    "delivery_record": DeliveryRecord,
    "drift_state": DriftState,
    "endpoint_record": EndpointRecord,
    "endpoint_settings": EndpointSettings,
    "environment": Environment,
    "golden": Golden,
    "health": Health,
    "key_request": KeyRequest,
    "lineage": Lineage,
    "manifest": Manifest,
    "new_key": NewKey,
    "new_webhook": NewWebhook,
    "outcome_batch": OutcomeBatch,
    "outcome_evidence": OutcomeEvidence,
    "outcome_receipt": OutcomeReceipt,
    "outcome_record": OutcomeRecord,
    "profile": Profile,
    "replica_record": ReplicaRecord,
    "role_assignment": RoleAssignment,
    "role_move": RoleMove,
    "rollout": Rollout,
    "rollout_action": RolloutAction,
    "rollout_applied": RolloutApplied,
    "rollout_decision": RolloutDecision,
    "rollout_events": RolloutEvents,
    "rollout_plan": RolloutPlan,
    "rollout_state": RolloutState,
    "rollout_view": RolloutView,
    "serve_options": ServeOptions,
    "signature": Signature,
    "snapshot": Snapshot,
    "tag_value": TagValue,
    "telemetry": Telemetry,
    "telemetry_receipt": TelemetryReceipt,
    "webhook_request": WebhookRequest,
}
"""Every document that is a file or a message of its own."""

SHARED = ("manifest", "serve_options", "signature", "snapshot")
"""Those that the data plane reads with types of its own: both sides must give the same verdict on any JSON."""


def json_schema(kind: str) -> str:
    """Return the JSON Schema (2020-12) of a document of `DOCUMENTS` as text; raises `KeyError` for another."""
    schema: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema |= DOCUMENTS[kind].model_json_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
