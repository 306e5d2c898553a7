"""The counters obey laws: every request has one outcome, every histogram has as many observations as its counter."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint

GOOD = {"amount": 10.0, "age": 30.0, "income": 5.0, "visits": 3.0}
PATH = "/v1/endpoints/binary:predict"

# What a record breaks: the change, and the (field, kind) that is counted for it.
BREAKS: dict[str, tuple[dict[str, object], tuple[str, str]]] = {
    "below": ({"amount": -1e9}, ("amount", "below_minimum")),
    "above": ({"age": 1e9}, ("age", "above_maximum")),
    "text": ({"visits": "many"}, ("visits", "wrong_type")),
    "null": ({"amount": None}, ("amount", "missing")),
    "infinite": ({"income": 1e39}, ("income", "not_finite")),
    "unknown": ({"colour": "red"}, ("(unknown)", "unknown_field")),
}


@pytest.fixture(scope="module", params=["reject", "flag"])
def server(request: pytest.FixtureRequest, serve_module: Serve, models: Workshop) -> Server:
    return serve_module(endpoint("binary", models.binary.bundle, validation=request.param))


def violations(server: Server) -> Counter[tuple[str, str]]:
    found = server.metrics().where("fairlead_violations_total", endpoint="binary")
    return Counter({(dict(labels)["field"], dict(labels)["kind"]): int(value) for labels, value in found.items()})


@settings(max_examples=20)
@given(plan=st.lists(st.sampled_from(["good", "torn", "empty", *BREAKS]), min_size=1, max_size=12))
def test_every_request_is_counted_once(server: Server, plan: list[str]) -> None:
    before = server.metrics()
    for wish in plan:
        record = GOOD | BREAKS.get(wish, ({}, ("", "")))[0]
        bodies = {"torn": "{", "empty": '{"records": []}'}
        server.http.post(PATH, content=bodies.get(wish, json.dumps({"records": [record]})))
    after = server.metrics()
    outcomes = Counter(after.outcomes("binary")) - Counter(before.outcomes("binary"))
    flag = is_flagging(server)
    broken = sum(wish in BREAKS for wish in plan)
    wanted = Counter(
        {
            "ok": plan.count("good") + (broken if flag else 0),
            "validation_failed": 0 if flag else broken,
            "malformed_request": plan.count("torn"),
            "wrong_shape": plan.count("empty"),
        }
    )
    assert outcomes == +wanted

    def grown(name: str) -> float:
        return after.total(name, endpoint="binary") - before.total(name, endpoint="binary")

    assert grown("fairlead_request_duration_seconds_count") == len(plan)
    assert grown("fairlead_rows_total") == wanted["ok"]
    assert grown("fairlead_queue_duration_seconds_count") == wanted["ok"]
    assert grown("fairlead_compute_duration_seconds_count") == grown("fairlead_batches_total")
    assert grown("fairlead_decisions_total") <= wanted["ok"]


def is_flagging(server: Server) -> bool:
    flagging: bool = server.admin.get("/snapshot").json()["endpoints"][0]["validation"] == "flag"
    return flagging


@settings(max_examples=20)
@given(rows=st.lists(st.sampled_from(["good", *BREAKS]), min_size=1, max_size=10))
def test_violations_are_counted_by_field_and_kind(server: Server, rows: list[str]) -> None:
    before = violations(server)
    records = [GOOD | BREAKS[wish][0] if wish in BREAKS else GOOD for wish in rows]
    answer = server.http.post(PATH, json={"records": records})
    wanted = Counter(BREAKS[wish][1] for wish in rows if wish in BREAKS)
    assert violations(server) - before == wanted
    if not is_flagging(server) and wanted:
        assert answer.status_code == 422
        assert len(answer.json()["details"]) == wanted.total()
    else:
        assert [len(row.get("violations", [])) for row in answer.json()["predictions"]] == [
            int(wish in BREAKS) for wish in rows
        ]


def test_what_has_no_endpoint_is_counted_apart(server: Server) -> None:
    before = server.metrics()
    requests = [
        ("GET", "/nowhere"),
        ("DELETE", PATH),
        ("POST", "/v2/models/absent/infer"),
        ("GET", "/v2/models/absent"),
    ]
    for method, path in requests:
        server.http.request(method, path)
    after = server.metrics()
    grown = {
        outcome: after.total("fairlead_rejected_total", outcome=outcome)
        - before.total("fairlead_rejected_total", outcome=outcome)
        for outcome in ("unknown_route", "method_not_allowed", "unknown_endpoint")
    }
    assert grown == {"unknown_route": 1, "method_not_allowed": 1, "unknown_endpoint": 2}
    assert after.outcomes("binary") == before.outcomes("binary")


def test_decisions_are_counted_by_label(server: Server, models: Workshop) -> None:
    before = server.metrics()
    answer = server.http.post(PATH, json={"records": list(models.binary.records[:200])}).json()
    after = server.metrics()
    decided = Counter(str(row["decision"]) for row in answer["predictions"])
    assert len(decided) == 2
    for label, count in decided.items():
        name = "fairlead_decisions_total"
        assert after.total(name, decision=label) - before.total(name, decision=label) == count


def test_a_scrape_shows_the_snapshot_and_the_connections(server: Server) -> None:
    server.http.get("/v2")
    scrape = server.metrics()
    assert scrape.total("fairlead_snapshot_generation") == 1
    assert scrape.total("fairlead_snapshots_total", outcome="applied") == 1
    assert scrape.total("fairlead_connections") >= 1
    assert scrape.total("fairlead_variant_ready", endpoint="binary") == 1
    assert scrape.total("fairlead_queue_rows", endpoint="binary") == 0
