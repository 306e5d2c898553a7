"""The data plane counts units by slice and keeps a matched control apart, as the documents say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from fairlead.rollout.assignment import is_challengers, is_controls
from fairlead.schema.snapshot import Endpoint, Role, Routing
from fairlead.schema.telemetry import Telemetry
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Model, Workshop
from tests.serverkit.plane import Plane, plane
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint, snapshot, variant

SALT = "rollout-8"
PATH = "/v1/endpoints/sliced:predict"
UNITS = [f"card-{number}" for number in range(400)]
SHARE = 0.2
Arms = dict[str, dict[str, Any]]


@pytest.fixture
def control() -> Iterator[Plane]:
    with plane() as running:
        yield running


def rollout(model: Model, **routing: Any) -> Endpoint:
    """A model, and itself once more as challenger."""
    fields = {"salt": SALT, "epoch": 1, "challenger": "2", "share": SHARE, **routing}
    champion = endpoint("sliced", model.bundle, unit_key="card")
    challenger = variant(model.bundle, "2", Role.CHALLENGER)
    return champion.model_copy(
        update={"variants": [*champion.variants, challenger], "routing": Routing.model_validate(fields)}
    )


@pytest.fixture
def serve_rollout(serve: Serve, models: Workshop, control: Plane) -> Any:
    def start(model: Model | None = None, **routing: Any) -> Server:
        return serve(
            rollout(model or models.pipeline, **routing), arguments=["--control", control.url, "--report-ms", "50"]
        )

    return start


def counted(control: Plane, epoch: int = 1) -> Arms:
    """The arms of the newest report: those of the two versions, and the matched control."""
    control.wait_for_reports()
    report = Telemetry.model_validate(control.reports[-1])
    [found] = [one for one in report.endpoints if one.name == "sliced"]
    arms = [arm.model_dump() for arm in found.arms if arm.epoch == epoch]
    return {"control" if arm["matched"] else arm["version"]: arm for arm in arms}


def by_value(arm: dict[str, Any], count: str = "units") -> dict[Any, int]:
    return {"others" if one["other"] else one["value"]: one[count] for one in arm["slices"] if one[count]}


def owner(unit: str, share: float = SHARE) -> str:
    if is_challengers(unit, SALT, share):
        return "2"
    return "control" if is_controls(unit, SALT, share) else "1"


def record(models: Workshop, number: int, **changes: Any) -> dict[str, Any]:
    return {**models.pipeline.records[number % 100], "card": UNITS[number], **changes}


def test_units_are_counted_by_the_value_of_their_first_row(
    serve_rollout: Any, models: Workshop, control: Plane
) -> None:
    server: Server = serve_rollout(slices=["country"])
    wanted: dict[str, Counter[Any]] = {"1": Counter(), "2": Counter()}
    violations: dict[str, Counter[Any]] = {"1": Counter(), "2": Counter()}
    for number, unit in enumerate(UNITS):
        arm = "2" if is_challengers(unit, SALT, SHARE) else "1"
        given: dict[str, Any] = {"country": 7} if number % 50 == 0 else {}
        answer = server.http.post(PATH, json={"records": [record(models, number, **given)]})
        assert answer.status_code == (422 if given else 200), answer.text
        value = None if given else models.pipeline.records[number % 100]["country"]
        wanted[arm][value] += 1
        violations[arm][value] += bool(given)
        again = server.http.post(PATH, json={"records": [record(models, number, country="SE")]})
        assert again.status_code == 200, "a unit stays in the slice of its first row"
    arms = counted(control)
    assert set(arms) == {"1", "2"}, "no control is kept apart that nobody asked for"
    for version in ("1", "2"):
        assert by_value(arms[version]) == dict(wanted[version])
        assert by_value(arms[version], "unit_violations") == dict(+violations[version])
        for one in arms[version]["slices"]:
            answered = one["units"] - one["unit_violations"]
            assert (one["unit_errors"], sum(one["unit_decisions"])) == (0, answered)
    assert len(by_value(arms["1"])) > 2


def test_values_beyond_the_bound_share_a_slice_in_both_arms(
    serve_rollout: Any, models: Workshop, control: Plane
) -> None:
    """Whole numbers of any size: whichever come first have a slice, and the model reads them as 32-bit floats."""
    server: Server = serve_rollout(models.visitors, slices=["visits"], share=0.5)
    for number, unit in enumerate(UNITS):
        given = {"amount": 1.5, "visits": number % 40 - 5, "card": unit}
        server.http.post(PATH, json={"records": [given]}).raise_for_status()
    arms = counted(control)
    for version in ("1", "2"):
        own = [n for n, unit in enumerate(UNITS) if is_challengers(unit, SALT, 0.5) == (version == "2")]
        places = Counter(n % 40 - 5 if n % 40 < 32 else "others" for n in own)
        assert by_value(arms[version]) == dict(places)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.7])
def test_a_matched_control_is_an_arm_of_its_own(
    serve_rollout: Any, models: Workshop, control: Plane, share: float
) -> None:
    server: Server = serve_rollout(matched=True, slices=["country"], share=share)
    for number in range(0, len(UNITS), 4):
        # Four units in a request, whoever answers each, and a row of nobody.
        records = [record(models, number + more) for more in range(4)]
        server.http.post(PATH, json={"records": [*records, record(models, 0, card=None)]}).raise_for_status()
    wanted = Counter(owner(unit, share) for unit in UNITS)
    wanted["1"] += len(UNITS) // 4  # rows of nobody are the champion's, and nobody's control
    arms = counted(control)
    assert {name: arm["units"] for name, arm in arms.items() if arm["units"]} == dict(wanted)
    for arm in arms.values():
        assert sum(by_value(arm).values()) == arm["units"] == sum(arm["latency_counts"])


def test_slices_go_on_over_epochs_and_the_control_grows(serve_rollout: Any, models: Workshop, control: Plane) -> None:
    server: Server = serve_rollout(matched=True, slices=["country"], share=0.1)
    for epoch, share in ((1, 0.1), (2, 0.4)):
        if epoch > 1:
            grown = rollout(models.pipeline, matched=True, slices=["country"], share=share, epoch=epoch)
            assert server.put(snapshot(grown, generation=epoch)).status_code == 200
        for number in range(200):
            server.http.post(PATH, json={"records": [record(models, number)]}).raise_for_status()
        arms = counted(control, epoch)
        wanted = Counter(owner(unit, share) for unit in UNITS[:200])
        assert {name: arm["units"] for name, arm in arms.items()} == dict(wanted)
        assert sum(by_value(arms["control"]).values()) == wanted["control"]


@pytest.mark.parametrize(("column", "words"), [("city", "is no feature"), ("amount", "is a float")])
def test_a_column_that_cannot_be_one_is_refused(serve: Serve, models: Workshop, column: str, words: str) -> None:
    server = serve(endpoint("sliced", models.pipeline.bundle, unit_key="card"))
    answer = server.put(snapshot(rollout(models.pipeline, slices=[column]), generation=2))
    assert (answer.status_code, answer.json()["code"]) == (400, "snapshot_invalid")
    assert words in answer.json()["error"]
    assert column in answer.json()["error"]
