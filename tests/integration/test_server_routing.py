"""Units stay with their variant, shares only grow, shadows answer nobody, and all of it is counted by unit."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from fairlead.schema.snapshot import Endpoint, Role, Routing, Snapshot
from fairlead.schema.telemetry import Telemetry, logit_edge
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.plane import Plane, plane
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint, snapshot, variant
from tests.serverkit.waiting import until

SALT = "rollout-7"
UNITS = [f"card-{number}" for number in range(300)]
PATH = "/v1/endpoints/binary:predict"


def belongs(unit: str, share: float, salt: str = SALT) -> bool:
    """The assignment as it is defined, by another implementation of the hash."""
    digest = hashlib.blake2b(unit.encode(), digest_size=8, key=salt.encode()).digest()
    return share >= 1 or int.from_bytes(digest, "little") < int(share * 2**64)


def rollout(models: Workshop, share: float = 0.25, **routing: Any) -> Endpoint:
    """`binary` with its successor as challenger (version 2) and as shadow (version 3)."""
    fields = {"salt": SALT, "epoch": 1, "challenger": "2", "share": share, **routing}
    champion = endpoint("binary", models.binary.bundle, unit_key="card")
    successor = models.successor.bundle
    others = [variant(successor, "2", Role.CHALLENGER), variant(successor, "3", Role.SHADOW)]
    return champion.model_copy(
        update={"variants": [*champion.variants, *others], "routing": Routing.model_validate(fields)}
    )


@pytest.fixture
def control() -> Iterator[Plane]:
    with plane() as running:
        yield running


@pytest.fixture
def reporting(serve: Serve, models: Workshop, control: Plane) -> Server:
    arguments = ["--control", control.url, "--replica", "r1", "--report-ms", "50", "--region", "eu"]
    return serve(rollout(models), arguments=arguments, environment={"FAIRLEAD_KEY": "sesame"})


def ask(server: Server, models: Workshop, unit: str, **headers: str) -> dict[str, Any]:
    record = {**models.binary.records[hash(unit) % 100], "card": unit}
    answer = server.http.post(PATH, json={"records": [record]}, headers=headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def variants(server: Server, models: Workshop, units: Iterable[str] = UNITS) -> dict[str, str]:
    return {unit: ask(server, models, unit)["variant"] for unit in units}


def test_a_unit_is_where_its_hash_says_and_stays_there_as_the_share_grows(serve: Serve, models: Workshop) -> None:
    server = serve(rollout(models, 0.05))
    inside: set[str] = set()
    for generation, share in enumerate([0.05, 0.25, 0.5, 1.0], start=2):
        grown = rollout(models, share, epoch=generation)
        assert server.put(snapshot(grown, generation=generation)).status_code == 200
        found = variants(server, models)
        assert found == {unit: "challenger" if belongs(unit, share) else "champion" for unit in UNITS}
        assert found == variants(server, models), "asked again, the same"
        now = {unit for unit, who in found.items() if who == "challenger"}
        assert inside <= now
        inside = now
    assert inside == set(UNITS)


def test_the_unit_may_come_in_the_body_the_header_or_the_parameters(serve: Serve, models: Workshop) -> None:
    server = serve(rollout(models, 0.5))
    record = models.binary.records[0]
    flat = [list(record.values())]
    names = list(record)
    tensors = server.http.get("/v2/models/binary").json()["inputs"]
    for unit in UNITS[:20]:
        wanted = "challenger" if belongs(unit, 0.5) else "champion"
        by_header = server.http.post(PATH, json={"records": [record]}, headers={"fairlead-unit": unit})
        by_member = server.http.post(PATH, json={"records": [record], "unit": unit})
        tensor = {**tensors[0], "shape": [1, len(names)], "data": flat}
        body = {"inputs": [tensor], "parameters": {"unit": unit}}
        by_parameter = server.http.post("/v2/models/binary/infer", json=body).json()
        assert by_header.json()["variant"] == by_member.json()["variant"] == wanted
        assert by_parameter["parameters"]["variant"] == wanted


def test_a_request_of_many_units_is_answered_by_the_variant_of_each(
    reporting: Server, models: Workshop, control: Plane
) -> None:
    records = [{**models.binary.records[number % 100], "card": unit} for number, unit in enumerate(UNITS)]
    records[7] = {**records[7], "card": None}
    answer = reporting.http.post(PATH, json={"records": records})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    plain = [{key: value for key, value in record.items() if key != "card"} for record in records]
    champion, challenger = (model.scores(plain) for model in (models.binary, models.successor))
    head = {name: body[name] for name in ("version", "variant", "bundle")}
    ids = set()
    for number, (unit, prediction) in enumerate(zip(UNITS, body["predictions"], strict=True)):
        inside = belongs(unit, 0.25) and number != 7
        who = {**head, **{name: prediction[name] for name in head if name in prediction}}
        assert who["variant"] == ("challenger" if inside else "champion")
        assert who["bundle"] == (models.successor if inside else models.binary).sha256
        assert prediction["score"] == pytest.approx((challenger if inside else champion)[number], abs=1e-6)
        ids.add(prediction["prediction_id"])
    assert len(ids) == len(UNITS)
    control.wait_for_reports()
    arms = control.arms("binary", 1)
    within = sum(belongs(unit, 0.25) for number, unit in enumerate(UNITS) if number != 7)
    assert {version: arms[version]["units"] for version in ("1", "2")} == {"1": len(UNITS) - within, "2": within}


def test_requests_without_a_unit_are_shared_out_too(serve: Serve, models: Workshop) -> None:
    server = serve(rollout(models, 0.5))
    record = models.binary.records[0]
    found = Counter(server.http.post(PATH, json={"records": [record]}).json()["variant"] for _ in range(400))
    assert set(found) == {"champion", "challenger"}
    assert 130 < found["challenger"] < 270, "seven standard deviations around one half"


def test_a_tester_may_name_a_variant_and_is_no_evidence(reporting: Server, models: Workshop, control: Plane) -> None:
    for unit in UNITS[:40]:
        assert ask(reporting, models, unit, **{"fairlead-variant": "challenger"})["version"] == "2"
        assert ask(reporting, models, unit, **{"fairlead-variant": "1"})["variant"] == "champion"
        versioned = reporting.http.post(
            "/v2/models/binary/versions/2/infer", json={"inputs": []}
        )  # a version in the path is a wish too
        assert versioned.status_code == 400
    unknown = reporting.http.post(PATH, json={"records": [{}]}, headers={"fairlead-variant": "9"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_version")
    control.wait_for_reports()
    assert {version: arm["requests"] for version, arm in control.arms("binary", 1).items()} == {"1": 0, "2": 0, "3": 0}


def test_testers_may_be_told_not_to(serve: Serve, models: Workshop) -> None:
    server = serve(rollout(models, 0.0, override=False))
    assert ask(server, models, "card-1", **{"fairlead-variant": "challenger"})["variant"] == "champion"


@pytest.mark.parametrize(("regions", "here"), [(["eu"], True), (["us", "eu"], True), (["us"], False), ([], False)])
def test_only_the_regions_named_send_units_to_the_challenger(
    serve: Serve, models: Workshop, regions: list[str], here: bool
) -> None:
    server = serve(rollout(models, 1.0, regions=regions), arguments=["--region", "eu"])
    assert set(variants(server, models, UNITS[:20]).values()) == {"challenger" if here else "champion"}


def test_units_are_counted_once_by_arm_and_epoch(reporting: Server, models: Workshop, control: Plane) -> None:
    for _ in range(3):
        variants(reporting, models)
    bad = reporting.http.post(PATH, json={"records": [{"card": "card-0", "amount": "much"}]})
    assert bad.status_code == 422
    control.wait_for_reports()
    for report in control.reports:
        Telemetry.model_validate(report)
    assert (report["replica"], report["region"], report["generation"]) == ("r1", "eu", 1)
    assert control.keys == {"Bearer sesame"}
    arms = control.arms("binary", 1)
    inside = sum(belongs(unit, 0.25) for unit in UNITS)
    expected = {"1": len(UNITS) - inside, "2": inside}
    for version, units in expected.items():
        arm = arms[version]
        extra = int(version == ("2" if belongs("card-0", 0.25) else "1"))
        assert (arm["units"], arm["requests"], arm["errors"], arm["unit_errors"]) == (units, 3 * units + extra, 0, 0)
        assert arm["unit_violations"] == extra
        assert sum(arm["unit_decisions"]) == sum(arm["score_counts"]) == sum(arm["latency_counts"]) == units
        assert (arm["units_sketch"] == "") == (units == 0)
    # The next epoch counts anew, the old one stays in the reports, and what grew never shrinks.
    assert reporting.put(snapshot(rollout(models, 0.5, epoch=2), generation=2)).status_code == 200
    variants(reporting, models, UNITS[:100])
    control.wait_for_reports()
    assert control.arms("binary", 1) == arms
    assert sum(arm["units"] for arm in control.arms("binary", 2).values()) == 100


def test_a_shadow_sees_everything_answers_nobody_and_is_compared(
    serve: Serve, models: Workshop, control: Plane
) -> None:
    mirrored = rollout(models, 0.0, shadow="3", shadow_share=1.0)
    server = serve(mirrored, arguments=["--control", control.url, "--report-ms", "50"])
    given = {unit: ask(server, models, unit) for unit in UNITS}
    assert {answer["version"] for answer in given.values()} == {"1"}

    def compared() -> dict[str, Any]:
        found = [e for e in control.reports[-1]["endpoints"] if e["name"] == "binary"] if control.reports else []
        shadows: list[dict[str, Any]] = found[0]["shadows"] if found else []
        return shadows[0] if shadows else {"pairs": 0, "failures": 0}

    until(lambda: compared()["pairs"] + compared()["failures"] == len(UNITS), "every pair is counted")
    counts = compared()
    assert (counts["version"], counts["failures"]) == ("3", 0)
    records = [{**models.binary.records[hash(unit) % 100]} for unit in UNITS]
    ours, theirs = models.binary.scores(records), models.successor.scores(records)
    flips = Counter(
        (int(a >= 0.5), int(b >= 0.5)) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None
    )
    assert {(int(a), int(b)): n for a, b, n in counts["flips"]} == dict(flips)
    assert sum(counts["score_delta_counts"]) == len(UNITS)
    scored = [score for score in theirs if score is not None]
    for number, count in counts["scores"]:
        inside = [score for score in scored if logit_edge(number) <= score < logit_edge(number + 1)]
        assert len(inside) == count, "a bin holds what lies between its edges"
    assert sum(count for _, count in counts["scores"]) == len(scored)
    rows = server.metrics().total("fairlead_rows_total", endpoint="binary", version="3")
    assert rows == len(UNITS)


def test_a_challenger_that_takes_other_inputs_is_refused(serve: Serve, models: Workshop) -> None:
    server = serve(endpoint("binary", models.binary.bundle))
    before = server.state()["generation"]
    odd = rollout(models).model_copy(
        update={"variants": [*rollout(models).variants[:1], variant(models.regression.bundle, "2", Role.CHALLENGER)]}
    )
    odd = odd.model_copy(update={"routing": Routing(salt=SALT, epoch=1, challenger="2", share=0.1)})
    answer = server.put(snapshot(odd, generation=9))
    assert (answer.status_code, answer.json()["code"]) == (400, "snapshot_invalid")
    assert "version 2" in answer.json()["error"]
    assert server.state()["generation"] == before


def test_a_replica_follows_its_control_plane_and_outlives_it(
    serve: Serve, models: Workshop, control: Plane, tmp_path: Any
) -> None:
    state = ["--state", str(tmp_path / "state")]
    arguments = ["--control", control.url, "--report-ms", "50", *state]
    server = serve(arguments=arguments, nothing=True)
    assert server.http.get("/v2/health/ready").status_code == 503, "nothing to serve yet"
    control.snapshot = Snapshot(generation=3, endpoints=[rollout(models)])
    until(lambda: server.http.get("/v2/health/ready").status_code == 200, "the snapshot is applied")
    assert ask(server, models, "card-1")["endpoint"] == "binary"
    bad = Snapshot(generation=4, endpoints=[endpoint("binary", tmp_path / "no-bundle")])
    control.snapshot = bad
    until(lambda: any(poll["after"] == ["4"] for poll in control.polls), "what was refused is not asked for again")
    assert ask(server, models, "card-1")["endpoint"] == "binary"
    control.broken = True
    assert ask(server, models, "card-2")["endpoint"] == "binary"
    control.snapshot = Snapshot(generation=5, endpoints=[rollout(models, 1.0)])
    control.broken = False
    until(lambda: ask(server, models, "card-3")["variant"] == "challenger", "it follows again")
    server.stop()
    control.broken = True
    again = serve(arguments=arguments, nothing=True)
    assert ask(again, models, "card-3")["variant"] == "challenger", "the last good snapshot"
