"""Who should report, and does."""

from __future__ import annotations

from typing import Any

from fairlead.control.rollouts.look import FORGOTTEN_US, reporting_of
from fairlead.schema.control import ReplicaRecord

NOW = 10**15


def replica(name: str, age_us: int, *, stale: bool, region: str | None = None) -> ReplicaRecord:
    known: dict[str, Any] = {"incarnation": 1, "generation": 1, "first_seen_us": 1}
    return ReplicaRecord(replica=name, region=region, last_seen_us=NOW - age_us, stale=stale, **known)


def test_who_reports_is_expected_to() -> None:
    known = [replica("a", 5, stale=False, region="eu"), replica("b", 9, stale=False, region="eu")]
    found = reporting_of(known, {"a"}, NOW)
    assert (found.expected, found.reporting, found.oldest_us, found.regions) == (2, 2, 9, ("eu",))


def test_who_served_the_endpoint_and_fell_silent_is_missed_until_forgotten() -> None:
    fresh = replica("a", 5, stale=False)
    for age, expected in ((FORGOTTEN_US - 1, 2), (FORGOTTEN_US, 1)):
        found = reporting_of([fresh, replica("b", age, stale=True)], {"a", "b"}, NOW)
        assert (found.expected, found.reporting) == (expected, 1)


def test_who_never_served_the_endpoint_is_not_missed() -> None:
    found = reporting_of([replica("a", 5, stale=False), replica("b", 10**8, stale=True)], {"a"}, NOW)
    assert (found.expected, found.reporting) == (1, 1)


def test_who_does_not_apply_what_it_was_told_is_behind() -> None:
    known = [replica("a", 5, stale=False), replica("b", 5, stale=False)]
    assert reporting_of(known, {"a"}, NOW, settled=1).behind == 0
    assert reporting_of(known, {"a"}, NOW, settled=2).behind == 1


def test_nobody_is_nobody() -> None:
    found = reporting_of([], set(), NOW)
    assert (found.expected, found.reporting, found.oldest_us) == (0, 0, 0)
