"""Changes of the desired state: load, check the rules, record the decision, move, publish. One transaction each."""

from __future__ import annotations

from typing import Any

from fairlead.errors import ControlError
from fairlead.registry.compare import incompatibilities
from fairlead.registry.desired import Publisher
from fairlead.registry.lookup import endpoint_record, resolve
from fairlead.registry.rules import SERVED, Actor, Step, label, needed, plan
from fairlead.schema.control import KeyRole
from fairlead.schema.registry import (
    BundleDocuments,
    BundleRecord,
    EndpointRecord,
    EndpointSettings,
    RegistryRole,
    RoleAssignment,
    RoleHolder,
    RoleMove,
    Verdict,
)
from fairlead.store.state import Transaction, bundles, decisions, endpoints, roles, rollouts, webhooks
from fairlead.store.state.decisions import Decision
from fairlead.store.state.roles import Move, Why


def assign(
    transaction: Transaction,
    publisher: Publisher,
    target: tuple[str, RegistryRole],
    wish: RoleAssignment,
    actor: Actor,
) -> list[RoleMove]:
    """Give a bundle a role on an endpoint and return the moves made, newest first; none where it has it already.

    Raises `ControlError`, and then nothing is changed.
    """
    name, role = target
    actor.must_be(needed(role), f"make a bundle {role.value}")
    holders = endpoint_record(transaction, name).roles
    record, documents = resolve(transaction, wish.sha256)
    _check_rollout(transaction, name, "its roles stay as they are")
    steps = plan(holders, record.sha256, role)
    if not steps:
        return []
    found: list[str] = []
    if role in SERVED:
        _check_trust(record, publisher)
        found = _check_signature(transaction, holders, documents, role, wish)
    if found:
        # What could stand in for the old champion cannot stand in for this one.
        steps = [*_retired(holders, record.sha256), *steps]
    evidence: dict[str, Any] = {
        "role": role.value,
        "steps": [_step(step) for step in steps],
        "reason": wish.reason,
        "incompatibilities": found,
    }
    decision = decisions.record(
        transaction, Decision("role.assigned", record.sha256, Verdict.PASS, actor.name, name, evidence)
    )
    _move(transaction, name, steps, Why(actor.name, wish.reason, decision))
    publisher.publish(transaction, actor.name)
    made = roles.history(transaction, name, limit=len(steps))
    for move in reversed(made):
        webhooks.announce(transaction, "role.moved", move.model_dump(mode="json"))
    return made


def put_endpoint(
    transaction: Transaction, publisher: Publisher, name: str, settings: EndpointSettings, actor: Actor
) -> EndpointRecord:
    """Make an endpoint or change its settings. Raises `ControlError`."""
    actor.must_be(KeyRole.OPERATOR, "change an endpoint")
    before = endpoints.get(transaction, name)
    if before is None or before.settings != settings:
        if before is not None and before.settings.unit_key != settings.unit_key:
            _check_rollout(transaction, name, "units keep the variant that they have")
        endpoints.put(transaction, name, settings, actor.name)
        evidence = {
            "before": None if before is None else before.settings.model_dump(mode="json"),
            "after": settings.model_dump(mode="json"),
        }
        decisions.record(transaction, Decision("endpoint.changed", name, Verdict.PASS, actor.name, name, evidence))
        publisher.publish(transaction, actor.name)
        webhooks.announce(transaction, "endpoint.changed", {"endpoint": name, **evidence})
    return endpoint_record(transaction, name)


def set_tag(transaction: Transaction, digits: str, tag: tuple[str, str | None], actor: Actor) -> BundleRecord:
    """Set a tag of a bundle, or remove it where the value is None. Raises `ControlError`."""
    actor.must_be(KeyRole.OPERATOR, "tag a bundle")
    record, _ = resolve(transaction, digits)
    key, value = tag
    if value is None:
        bundles.untag(transaction, record.sha256, key)
    else:
        bundles.tag(transaction, record.sha256, key, value, actor.name)
    if record.tags.get(key) != value:
        evidence = {"key": key, "before": record.tags.get(key), "after": value}
        decisions.record(
            transaction, Decision("bundle.tagged", record.sha256, Verdict.PASS, actor.name, evidence=evidence)
        )
    found = bundles.get(transaction, record.sha256)
    assert found is not None
    return found


def _retired(holders: list[RoleHolder], champion: str) -> list[Step]:
    served = [holder for holder in holders if holder.role in (RegistryRole.CHALLENGER, RegistryRole.SHADOW)]
    return [Step(one.sha256, one.role, RegistryRole.ARCHIVED) for one in served if one.sha256 != champion]


def _move(transaction: Transaction, endpoint: str, steps: list[Step], why: Why) -> None:
    holders = roles.listed(transaction, endpoint)
    for step in steps:
        record = bundles.get(transaction, step.sha256)
        assert record is not None
        version = label(endpoint, record, holders)
        roles.move(transaction, Move(endpoint, step.sha256, version, step.from_role, step.to_role), why)


def _check_rollout(transaction: Transaction, endpoint: str, so: str) -> None:
    running = rollouts.active(transaction, endpoint)
    if running is not None:
        raise ControlError(f"rollout {running!r} is active on {endpoint}: {so}", code="rollout_active")


def _check_trust(record: BundleRecord, publisher: Publisher) -> None:
    # A replica that may not unpickle would refuse the whole snapshot, and every later one.
    if record.requires_trust and not publisher.trust_pickle:
        raise ControlError(
            "loading this bundle would unpickle, and replicas are not told to",
            code="move_refused",
            hint="start the control plane and its replicas with --trust-pickle if you made the bundle",
        )


def _check_signature(
    transaction: Transaction,
    holders: list[RoleHolder],
    documents: BundleDocuments,
    role: RegistryRole,
    wish: RoleAssignment,
) -> list[str]:
    champion = next((holder for holder in holders if holder.role is RegistryRole.CHAMPION), None)
    if champion is None:
        return []
    _, theirs = resolve(transaction, champion.sha256)
    found = incompatibilities(theirs.signature, documents.signature)
    if found and not (wish.allow_incompatible and role is RegistryRole.CHAMPION):
        raise ControlError(
            f"the signature is not that of champion {champion.version}: {'; '.join(found)}",
            code="signature_incompatible",
            details=[{"got": difference} for difference in found],
        )
    return found


def _step(step: Step) -> dict[str, str | None]:
    before = None if step.from_role is None else step.from_role.value
    return {"sha256": step.sha256, "from": before, "to": step.to_role.value}
