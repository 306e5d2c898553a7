"""From settings and roles to the snapshot that replicas apply."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.registry.rules import SERVED
from fairlead.schema.registry import BundleRecord, RegistryRole
from fairlead.schema.snapshot import BundleReference, Endpoint, Role, Snapshot, Variant
from fairlead.store.objects import BundleStorage
from fairlead.store.state import Transaction, bundles, endpoints, roles, rollouts, snapshots

DOWNLOAD = "/api/v1/bundles/"
"""Where replicas fetch bundles that they cannot read themselves; the address of the control plane goes before it."""


@dataclass(frozen=True)
class Publisher:
    """Writes the next snapshot from what the tables say."""

    storage: BundleStorage
    trust_pickle: bool = False
    """Replicas were started so that they load pickles."""

    def publish(self, transaction: Transaction, actor: str) -> Snapshot:
        """Compose the desired state and keep it as the next generation, unless nothing changed."""
        wanted = self.compose(transaction)
        newest = snapshots.newest(transaction)
        if newest.endpoints == wanted.endpoints:
            return newest
        return snapshots.publish(transaction, wanted, actor)

    def compose(self, transaction: Transaction) -> Snapshot:
        """Return the desired state: every endpoint that has a champion."""
        known = {record.sha256: record for record in bundles.listed(transaction)}
        routings = rollouts.routings(transaction)
        found = []
        for stored in endpoints.listed(transaction):
            holders = [holder for holder in roles.listed(transaction, stored.name) if holder.role in SERVED]
            if not any(holder.role is RegistryRole.CHAMPION for holder in holders):
                continue
            ordered = sorted(holders, key=lambda holder: (SERVED.index(holder.role), holder.version))
            variants = [
                Variant(
                    role=Role(holder.role.value),
                    version=holder.version,
                    bundle=BundleReference(path=self.reference(known[holder.sha256]), sha256=holder.sha256),
                    threshold=holder.threshold,
                )
                for holder in ordered
            ]
            settings = {name: getattr(stored.settings, name) for name in type(stored.settings).model_fields}
            routing = routings.get(stored.name)
            found.append(Endpoint(name=stored.name, variants=variants, routing=routing, **settings))
        return Snapshot(generation=0, endpoints=found)

    def reference(self, record: BundleRecord) -> str:
        """Return how a replica gets at the bundle."""
        return self.storage.path(record.location) if self.storage.shared else f"{DOWNLOAD}{record.sha256}"
