"""What people do to rollouts, and who may."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.control.context import Control
from fairlead.control.rollouts import look
from fairlead.control.rollouts.apply import restart
from fairlead.control.rollouts.effects import Change, commit
from fairlead.registry import Actor
from fairlead.rollout import commands
from fairlead.rollout.commands import By
from fairlead.schema.control import KeyRole
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import Phase, RolloutCommand, RolloutState, RolloutView

_COMMANDS: dict[RolloutCommand, Callable[[Rollout, RolloutState, By], commands.Change]] = {
    RolloutCommand.PAUSE: commands.pause,
    RolloutCommand.RESUME: commands.resume,
    RolloutCommand.PROMOTE: commands.promote,
    RolloutCommand.ABORT: commands.abort,
    RolloutCommand.UNDO: commands.undo,
    RolloutCommand.APPROVE: commands.approve,
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
        by = By(actor.name, actor.role, transaction.now_us, reason)
        state, decision = _COMMANDS[command](stored.rollout, stored.state, by)
        commit(transaction, control.publisher, stored, Change(state, decision, actor))
        return look.view(transaction, look.found(transaction, name), control.stale_us)
