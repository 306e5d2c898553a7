"""What people do to rollouts, and who may."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.control.context import Control
from fairlead.control.rollouts import look
from fairlead.control.rollouts.apply import restart
from fairlead.control.rollouts.effects import Change, commit
from fairlead.errors import ControlError
from fairlead.registry import Actor, endpoint_record
from fairlead.rollout import commands
from fairlead.rollout.commands import By
from fairlead.schema.control import KeyRole
from fairlead.schema.registry import RegistryRole
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import Phase, RolloutCommand, RolloutState, RolloutView
from fairlead.store.state import Transaction
from fairlead.store.state.rollouts import StoredRollout

_COMMANDS: dict[RolloutCommand, Callable[[Rollout, RolloutState, By], commands.Change]] = {
    RolloutCommand.PAUSE: commands.pause,
    RolloutCommand.RESUME: commands.resume,
    RolloutCommand.PROMOTE: commands.promote,
    RolloutCommand.ABORT: commands.abort,
    RolloutCommand.UNDO: commands.undo,
    RolloutCommand.APPROVE: commands.approve,
}
_EVENTS = {
    RolloutCommand.PAUSE: "rollout.paused",
    RolloutCommand.RESUME: "rollout.resumed",
    RolloutCommand.PROMOTE: "rollout.promoted",
    RolloutCommand.ABORT: "rollout.aborted",
    RolloutCommand.UNDO: "rollout.undone",
    RolloutCommand.APPROVE: "rollout.approved",
}
_NEEDED = {RolloutCommand.PROMOTE: KeyRole.APPROVER, RolloutCommand.UNDO: KeyRole.APPROVER}
"""Others take an operator; `approve` asks for the roles of its step besides."""


def act(control: Control, name: str, command: RolloutCommand, actor: Actor, reason: str) -> RolloutView:
    """Do it, at once and recorded. Raises `ControlError`."""
    actor.must_be(_NEEDED.get(command, KeyRole.OPERATOR), f"{command.value} a rollout")
    if command is RolloutCommand.START:
        view = restart(control, name, actor).view
        assert view is not None
        return view
    with control.change() as transaction:
        stored = look.found(transaction, name)
        if command is RolloutCommand.RESUME and stored.state.phase is Phase.HELD:
            actor.must_be(KeyRole.APPROVER, "overrule what holds a rollout")
        if command is RolloutCommand.UNDO:
            _check_champion(transaction, stored)
        by = By(actor.name, actor.role, transaction.now_us, reason)
        state, decision = _COMMANDS[command](stored.rollout, stored.state, by)
        commit(transaction, control.publisher, stored, Change(state, decision, actor, _EVENTS[command]))
        return look.view(transaction, look.found(transaction, name), control.stale_us)


def _check_champion(transaction: Transaction, stored: StoredRollout) -> None:
    """Raise `ControlError` where the champion is not the one that this rollout made."""
    holders = endpoint_record(transaction, stored.rollout.spec.endpoint).roles
    champion = next((one for one in holders if one.role is RegistryRole.CHAMPION), None)
    if stored.state.phase is Phase.PROMOTED and (champion is None or champion.sha256 != stored.state.challenger.sha256):
        raise ControlError(
            "another bundle has become champion since",
            code="rollout_refused",
            hint="`fairlead registry assign` gives the role to any bundle",
        )
