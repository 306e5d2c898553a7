"""The rules of roles, as functions of values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairlead.errors import ControlError
from fairlead.schema.control import KeyRole
from fairlead.schema.registry import BundleRecord, RegistryRole, RoleHolder

SERVED = (RegistryRole.CHAMPION, RegistryRole.CHALLENGER, RegistryRole.SHADOW)
"""Roles whose bundles replicas load."""
SINGLE = (RegistryRole.CHAMPION, RegistryRole.CHALLENGER)
"""Roles that one bundle has at a time."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and what they may do."""

    name: str
    role: KeyRole

    def must_be(self, needed: KeyRole, to: str) -> None:
        """Raise `ControlError` where the role does not suffice."""
        if not self.role.covers(needed):
            raise ControlError(f"{self.name} is {self.role.value}; to {to} takes {needed.value}", code="forbidden")


@dataclass(frozen=True, slots=True)
class Step:
    """One bundle's way from role to role."""

    sha256: str
    from_role: RegistryRole | None
    to_role: RegistryRole


def needed(to_role: RegistryRole) -> KeyRole:
    """Return what it takes to give that role: the one that answers callers takes more."""
    return KeyRole.APPROVER if to_role is RegistryRole.CHAMPION else KeyRole.OPERATOR


def plan(holders: Sequence[RoleHolder], sha256: str, to_role: RegistryRole) -> list[Step]:
    """Return the steps that give a bundle a role on an endpoint, in order; none where it has it already.

    Whoever had a single role before is archived first. Raises `ControlError` (`move_refused`).
    """
    now = next((holder.role for holder in holders if holder.sha256 == sha256), None)
    if now is to_role:
        return []
    champion = next((holder for holder in holders if holder.role is RegistryRole.CHAMPION), None)
    if now is RegistryRole.CHAMPION:
        raise _refused("the champion answers callers and cannot be moved away", "make another bundle champion")
    if now is None and to_role is RegistryRole.ARCHIVED:
        raise _refused("a bundle that has no role here cannot be archived", "give it one first")
    if champion is None and to_role in (RegistryRole.CHALLENGER, RegistryRole.SHADOW):
        raise _refused(f"there is no champion for a {to_role.value} to be compared with", "name the champion first")
    before = [holder for holder in holders if holder.role is to_role and to_role in SINGLE]
    leaving = [Step(holder.sha256, holder.role, RegistryRole.ARCHIVED) for holder in before]
    return [*leaving, Step(sha256, now, to_role)]


def label(endpoint: str, record: BundleRecord, holders: Sequence[RoleHolder]) -> str:
    """Return what the endpoint calls this bundle: its number, behind its name where that is another."""
    known = next((holder.version for holder in holders if holder.sha256 == record.sha256), None)
    if known is not None:
        return known
    return str(record.version) if record.name == endpoint else f"{record.name[:80]}-{record.version}"


def _refused(why: str, hint: str) -> ControlError:
    return ControlError(why, code="move_refused", hint=hint)
