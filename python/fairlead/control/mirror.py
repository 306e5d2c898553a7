"""Keeping an MLflow server's registry and ours alike. Ours is the truth; what is moved there is a wish here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from fairlead.control.context import Control
from fairlead.errors import ControlError
from fairlead.registry import Actor, assign
from fairlead.registry.mlflow import MIRRORED, MlflowServer, Remote, alias_of
from fairlead.schema.registry import BundleRecord, RegistryRole, RoleAssignment, RoleHolder, Verdict
from fairlead.store.state import bundles, decisions, endpoints, leases, mirrored, roles, webhooks
from fairlead.store.state.decisions import Decision
from fairlead.store.state.leases import Lease

ACTOR = "mlflow"


class NotLeadingError(Exception):
    """Another process leads now; what this one was about to write is not written."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A role on an endpoint, as an alias of a registered model."""

    endpoint: str
    role: RegistryRole
    model: str
    version: str | None
    """MLflow's number of the bundle that has the role here; None: none of this model has."""

    @property
    def name(self) -> str:
        """The alias."""
        return alias_of(self.endpoint, self.model, self.role)


class Mirror:
    """One way each: bundles go there; roles go there, and come back where an alias was moved there."""

    def __init__(self, control: Control, uri: str, remote: Remote | None = None) -> None:
        """Take the server's address, and for tests another `Remote`."""
        self._control = control
        self._remote = MlflowServer(uri) if remote is None else remote

    async def synchronise(self, lease: Lease) -> None:
        """Compare once, and make both sides alike."""
        await asyncio.to_thread(self._synchronise, lease)

    def _synchronise(self, lease: Lease) -> None:
        with self._control.database.read() as transaction:
            records = bundles.listed(transaction)
            numbers = mirrored.versions(transaction)
        aliases = {name: self._remote.ensure_model(name) for name in sorted({record.name for record in records})}
        for record in records:
            if record.sha256 not in numbers:
                numbers[record.sha256] = (record.name, self._register(lease, record))
        digests = {number: sha256 for sha256, number in numbers.items()}
        for alias in self._wanted(numbers):
            self._agree(lease, alias, aliases[alias.model].get(alias.name), digests)

    def _register(self, lease: Lease, record: BundleRecord) -> str:
        # It may be there already: registered by a leader that died before it had noted it.
        version = self._remote.versions(record.name).get(record.sha256)
        if version is None:
            version = self._remote.add_version(record, f"fairlead://bundles/{record.sha256}")
        with self._control.database.write() as transaction:
            if not leases.still_held(transaction, lease):
                raise NotLeadingError
            mirrored.set_version(transaction, record.sha256, record.name, version)
        return version

    def _wanted(self, numbers: dict[str, tuple[str, str]]) -> list[Alias]:
        with self._control.database.read() as transaction:
            names = [stored.name for stored in endpoints.listed(transaction)]
            holders = roles.listed(transaction)
        return [alias for name in names for alias in _aliases(name, holders, numbers)]

    def _agree(self, lease: Lease, alias: Alias, theirs: str | None, digests: dict[tuple[str, str], str]) -> None:
        with self._control.database.read() as transaction:
            agreed = mirrored.aliases(transaction).get((alias.model, alias.name))
        if theirs == alias.version:
            self._note(lease, alias, agreed, theirs)
            return
        moved_there = theirs != agreed and alias.version == agreed
        if moved_there and self._taken(lease, alias, theirs, digests):
            self._note(lease, alias, agreed, theirs)
            return
        self._remote.set_alias(alias.model, alias.name, alias.version)
        self._note(lease, alias, agreed, alias.version)

    def _note(self, lease: Lease, alias: Alias, agreed: str | None, now: str | None) -> None:
        if agreed == now:
            return
        with self._control.database.write() as transaction:
            if not leases.still_held(transaction, lease):
                raise NotLeadingError
            mirrored.set_alias(transaction, alias.model, alias.name, now)

    def _taken(self, lease: Lease, alias: Alias, theirs: str | None, digests: dict[tuple[str, str], str]) -> bool:
        """Do here what was done there; where that may not be, say so in a decision and return False."""
        try:
            self._assign(lease, alias, theirs, digests)
        except ControlError as error:
            self._propose(lease, alias, theirs, error)
            return False
        return True

    def _assign(self, lease: Lease, alias: Alias, theirs: str | None, digests: dict[tuple[str, str], str]) -> None:
        sha256 = digests.get((alias.model, theirs or alias.version or ""))
        if sha256 is None:
            raise ControlError(f"version {theirs} of {alias.model} is no bundle of ours", code="bundle_unknown")
        role = alias.role if theirs is not None else RegistryRole.ARCHIVED
        wish = RoleAssignment(sha256=sha256, reason=f"alias {alias.name} of {alias.model} was moved in MLflow")
        with self._control.change() as transaction:
            if not leases.still_held(transaction, lease):
                raise NotLeadingError
            actor = Actor(ACTOR, self._control.settings.mlflow_role)
            assign(transaction, self._control.publisher, (alias.endpoint, role), wish, actor)

    def _propose(self, lease: Lease, alias: Alias, theirs: str | None, error: ControlError) -> None:
        verdict = {"forbidden": Verdict.INCONCLUSIVE, "bundle_unknown": Verdict.ERROR}.get(error.code, Verdict.FAIL)
        evidence = {
            "model": alias.model,
            "alias": alias.name,
            "wanted_version": theirs,
            "present_version": alias.version,
            "code": error.code,
            "why_not": error.message,
        }
        subject = f"{alias.role.value} of {alias.endpoint}"
        decision = Decision("role.proposed", subject, verdict, ACTOR, alias.endpoint, evidence)
        with self._control.database.write() as transaction:
            if not leases.still_held(transaction, lease):
                raise NotLeadingError
            decisions.record(transaction, decision)
            webhooks.announce(transaction, "role.proposed", {"endpoint": alias.endpoint, **evidence})


def _aliases(endpoint: str, holders: list[RoleHolder], numbers: dict[str, tuple[str, str]]) -> Iterator[Alias]:
    """Yield every alias that the endpoint has, or may have, in the models of its bundles and of its own name."""
    own = [holder for holder in holders if holder.endpoint == endpoint and holder.sha256 in numbers]
    models = {numbers[holder.sha256][0] for holder in own}
    models |= {model for model, _ in numbers.values() if model == endpoint}
    for model in sorted(models):
        for role in MIRRORED:
            versions = [numbers[one.sha256][1] for one in own if one.role is role and numbers[one.sha256][0] == model]
            yield Alias(endpoint, role, model, versions[0] if versions else None)
