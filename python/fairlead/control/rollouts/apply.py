"""From a document to a rollout that runs. Applying the same document again changes nothing."""

from __future__ import annotations

import secrets

from fairlead.control.context import Control
from fairlead.control.rollouts import look
from fairlead.control.rollouts.effects import Change, record
from fairlead.errors import ControlError
from fairlead.registry import Actor, assign, differences, endpoint_record, resolve
from fairlead.registry.rules import label
from fairlead.rollout import commands
from fairlead.rollout.commands import Facts
from fairlead.rollout.engine import noted
from fairlead.schema.control import KeyRole
from fairlead.schema.registry import BundleRecord, EndpointRecord, RegistryRole, RoleAssignment
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import Change as Kind
from fairlead.schema.rollout_state import Contender, RolloutApplied
from fairlead.schema.signature import Task
from fairlead.schema.snapshot import Durability
from fairlead.store.state import Transaction, bundles, roles, rollouts
from fairlead.store.state.rollouts import StoredRollout

SALT_BYTES = 16


def apply(control: Control, rollout: Rollout, actor: Actor, *, dry_run: bool = False) -> RolloutApplied:
    """Keep the document and start it, unless it is kept already. Raises `ControlError`.

    A dry run does everything, and then takes it back: what it says is what would happen.
    """
    actor.must_be(KeyRole.OPERATOR, "apply a rollout")
    with control.database.trial() if dry_run else control.change() as transaction:
        return _apply(control, transaction, rollout, actor).model_copy(update={"dry_run": dry_run})


def restart(control: Control, name: str, actor: Actor) -> RolloutApplied:
    """Start an ended rollout again: other units, evidence from nothing. Raises `ControlError`."""
    actor.must_be(KeyRole.OPERATOR, "start a rollout")
    with control.change() as transaction:
        stored = look.found(transaction, name)
        if not stored.state.phase.ended:
            raise ControlError(f"{name} is {stored.state.phase.value}", code="rollout_refused")
        _start(control, transaction, (stored.rollout, stored.state.run + 1), actor)
        return _applied(control, transaction, look.found(transaction, name), (Kind.STARTED, {}))


def _apply(control: Control, transaction: Transaction, rollout: Rollout, actor: Actor) -> RolloutApplied:
    stored = rollouts.get(transaction, rollout.name)
    before = {} if stored is None else stored.rollout.model_dump(mode="json")
    if stored is not None and stored.rollout == rollout:
        return _applied(control, transaction, stored, (Kind.UNCHANGED, before))
    if stored is not None and not stored.state.phase.ended:
        changed = ", ".join(one.field for one in differences(before, rollout.model_dump(mode="json")))
        raise ControlError(
            f"rollout {rollout.name!r} is active and cannot change on the way; the document differs in {changed}",
            code="rollout_active",
        )
    run = 1 if stored is None else stored.state.run + 1
    _start(control, transaction, (rollout, run), actor)
    kind = Kind.CREATED if stored is None else Kind.STARTED
    return _applied(control, transaction, look.found(transaction, rollout.name), (kind, before))


def _start(control: Control, transaction: Transaction, what: tuple[Rollout, int], actor: Actor) -> None:
    rollout, run = what
    endpoint = rollout.spec.endpoint
    if rollout.spec.alone:
        actor.must_be(KeyRole.APPROVER, "start a rollout that may promote without an approver's `approve`")
    running = rollouts.active(transaction, endpoint)
    if running is not None:
        raise ControlError(f"rollout {running!r} is active on {endpoint}", code="rollout_active")
    challenger = _challenger(transaction, rollout)
    champion = next(
        (one for one in endpoint_record(transaction, endpoint).roles if one.role is RegistryRole.CHAMPION), None
    )
    if champion is None:
        raise ControlError(f"{endpoint} has no champion to roll out against", code="role_vacant")
    if champion.sha256 != challenger.sha256:
        wish = RoleAssignment(sha256=challenger.sha256, reason=f"rollout {rollout.name}")
        assign(transaction, control.publisher, (endpoint, RegistryRole.CHALLENGER), wish, actor)
    record_of = endpoint_record(transaction, endpoint)
    _, documents = resolve(transaction, challenger.sha256)
    decision = documents.signature.decision
    facts = Facts(
        champion=Contender(version=champion.version, sha256=champion.sha256),
        challenger=Contender(version=label(endpoint, challenger, record_of.roles), sha256=challenger.sha256),
        salt=secrets.token_hex(SALT_BYTES),
        unit_key=record_of.settings.unit_key,
        labels=[] if decision is None else decision.labels,
        features=documents.signature.features,
        binary=decision is not None and decision.task is Task.BINARY,
        first_epoch=rollouts.last_epoch(transaction, endpoint) + 1,
        run=run,
        unjoined=_unjoined(control, record_of),
    )
    state, said = commands.begin(rollout, facts, transaction.now_us)
    said = said.model_copy(update={"actor": actor.name})
    rollouts.begin(transaction, rollout, noted(state, said), actor.name)
    roles.decide_at(transaction, endpoint, challenger.sha256, None)  # what an earlier rollout may have left
    record(transaction, rollout, None, Change(state, said, actor, "rollout.started"))
    control.publisher.publish(transaction, actor.name)


def _unjoined(control: Control, endpoint: EndpointRecord) -> str | None:
    """Return why outcomes cannot be joined with the endpoint's predictions; None where they can."""
    if endpoint.settings.durability is Durability.NONE:
        return f"{endpoint.name} writes no prediction log (its durability is none)"
    return None if control.settings.logs else "this control plane knows no prediction log (--prediction-log)"


def _challenger(transaction: Transaction, rollout: Rollout) -> BundleRecord:
    """Return the bundle that the document names; raises `ControlError`."""
    wanted, endpoint = rollout.spec.challenger, rollout.spec.endpoint
    if wanted.bundle is not None:
        return resolve(transaction, wanted.bundle)[0]
    holders = endpoint_record(transaction, endpoint).roles
    for one in bundles.listed(transaction):
        if label(endpoint, one, holders) == wanted.version:
            return one
    raise ControlError(f"no bundle that {endpoint} would call {wanted.version!r}", code="bundle_unknown")


def _applied(
    control: Control, transaction: Transaction, stored: StoredRollout, what: tuple[Kind, dict[str, object]]
) -> RolloutApplied:
    kind, before = what
    after = stored.rollout.model_dump(mode="json")
    return RolloutApplied(
        name=stored.rollout.name,
        change=kind,
        dry_run=False,
        differences=list(differences(before, after)) if before else [],
        view=look.view(transaction, stored, control.stale_us),
    )
