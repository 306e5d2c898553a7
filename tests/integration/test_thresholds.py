"""A variant may decide at another threshold than its bundle's: its decisions do, and what is told of it says so."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.schema.snapshot import Endpoint
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint, snapshot

PATH = "/v1/endpoints/binary:predict"


def at(models: Workshop, threshold: float | None, name: str = "binary") -> Endpoint:
    made = endpoint(name, getattr(models, name).bundle)
    return made.model_copy(update={"variants": [made.variants[0].model_copy(update={"threshold": threshold})]})


def decided(server: Server, models: Workshop) -> list[tuple[float, Any]]:
    answer = server.http.post(PATH, json={"records": list(models.binary.records[:60])})
    assert answer.status_code == 200, answer.text
    return [(row["score"], row["decision"]) for row in answer.json()["predictions"]]


def told(server: Server) -> set[float]:
    """What the two descriptions of the endpoint say."""
    described = server.http.get("/v1/endpoints").json()["endpoints"][0]["variants"][0]["threshold"]
    properties = server.http.get("/v2/models/binary").json()["properties"]
    assert isinstance(properties["threshold"], str), "the protocol has text here"
    return {described, float(properties["threshold"])}


def test_decisions_follow_the_threshold_and_scores_stay(serve: Serve, models: Workshop) -> None:
    server = serve(at(models, None))
    before = decided(server, models)
    assert before == [(score, int(score >= 0.5)) for score, _ in before]
    assert told(server) == {0.5}
    scores = sorted({score for score, _ in before})
    threshold = (scores[-4] + scores[-3]) / 2
    assert server.put(snapshot(at(models, threshold), generation=2)).status_code == 200
    after = decided(server, models)
    assert after == [(score, int(score >= threshold)) for score, _ in before]
    assert 0 < sum(decision for _, decision in after) < sum(decision for _, decision in before)
    assert told(server) == {threshold}
    labels = server.metrics().where("fairlead_decisions_total", endpoint="binary")
    assert sum(labels.values()) == 120
    assert server.put(snapshot(at(models, None), generation=3)).status_code == 200
    assert decided(server, models) == before


@pytest.mark.parametrize("name", ["regression", "multiclass", "simple"])
def test_a_threshold_for_what_has_none_is_refused_whole(serve: Serve, models: Workshop, name: str) -> None:
    server = serve(at(models, None))
    answer = server.put(snapshot(at(models, 0.3, name), generation=2))
    assert (answer.status_code, answer.json()["code"]) == (400, "snapshot_invalid")
    assert f"endpoint {name}, version 1: threshold" in answer.json()["error"]
    assert told(server) == {0.5}
