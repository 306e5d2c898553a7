"""What a rollout can find out, before it starts."""

from __future__ import annotations

from fairlead.registry import endpoint_record, resolve
from fairlead.rollout.commands import slice_sizes
from fairlead.rollout.foresight import Known, Ramp, ramp_of, remarks
from fairlead.rollout.foresight import planned as foreseen
from fairlead.schema.registry import RegistryRole
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import RolloutPlan
from fairlead.schema.telemetry import ArmCounts, distinct, together
from fairlead.store.state import Transaction, telemetry

_HOUR_US = 3_600_000_000


def plan(
    transaction: Transaction, rollout: Rollout, base_rate: float | None, units_per_hour: float | None
) -> RolloutPlan:
    """Return the plan; rates and traffic as asked, else as counted. Raises `ControlError`."""
    known = _known(transaction, rollout, base_rate, units_per_hour)
    ramp: Ramp = ramp_of(rollout, known)
    return RolloutPlan(
        name=rollout.name,
        cohort=ramp.cohort,
        units_per_hour=known.units_per_hour,
        guardrails=[found for one in rollout.spec.guardrails if (found := foreseen(rollout, one, known, ramp))],
        remarks=remarks(rollout, known, ramp),
    )


def _known(transaction: Transaction, rollout: Rollout, base_rate: float | None, units_per_hour: float | None) -> Known:
    endpoint = rollout.spec.endpoint
    holders = endpoint_record(transaction, endpoint).roles
    holder = next((one for one in holders if one.role is RegistryRole.CHAMPION), None)
    champion = None if holder is None else holder.version
    features = [] if holder is None else resolve(transaction, holder.sha256)[1].signature.features
    reports = telemetry.newest(transaction)
    arms: list[ArmCounts] = [
        arm for report in reports for found in report.endpoints if found.name == endpoint for arm in found.arms
    ]
    units = round(distinct(together(arm.units_sketch for arm in arms))) or sum(arm.units for arm in arms)
    if units_per_hour is None and units and reports:
        hours = (transaction.now_us - min(report.incarnation for report in reports)) / _HOUR_US
        units_per_hour = units / hours if hours > 0 else None
    own = [arm for arm in arms if arm.version == champion]
    return Known(
        base_rate=base_rate,
        units_per_hour=units_per_hour,
        units=units,
        champion_units=sum(arm.units for arm in own),
        errors=sum(arm.unit_errors for arm in own),
        violations=sum(arm.unit_violations for arm in own),
        slice_sizes={} if holder is None else slice_sizes(rollout, features),
    )
