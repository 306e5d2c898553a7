"""The metrics, as the parser of Prometheus' own Python client reads them."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from fairlead import _core
from tests.serverkit import oip
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint


@pytest.fixture(scope="module")
def server(serve_module: Serve, models: Workshop) -> Server:
    server = serve_module(endpoint("doubling", models.doubling.bundle), endpoint("binary", models.binary.bundle))
    for rows in (1, 3):
        server.http.post("/v2/models/doubling/infer", content=oip.body(oip.tensor("x", "FP32", [1.0] * rows)))
    row = models.binary.records[0]
    server.http.post("/v1/endpoints/binary:predict", json={"records": [{**row, "income": None}]})
    server.http.post("/v1/endpoints/binary:predict", json={"records": [{**row, "amount": "much"}]})
    server.http.get("/nowhere")
    return server


def families(text: str) -> list[Any]:
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]  # the library has no types here


def test_both_listeners_show_openmetrics(server: Server) -> None:
    for client in (server.http, server.admin):
        answer = client.get("/metrics")
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert answer.text.endswith("# EOF\n")
        assert len(families(answer.text)) > 10


def test_names_and_kinds_are_those_of_the_catalogue(server: Server) -> None:
    catalogue = {row["name"].removesuffix("_total"): row for row in json.loads(_core.metric_catalogue())}
    found = families(server.admin.get("/metrics").text)
    assert {family.name: family.type for family in found} == {name: row["type"] for name, row in catalogue.items()}
    assert all(family.documentation for family in found)
    for family in found:
        labels = {frozenset(sample.labels.keys() - {"le"}) for sample in family.samples}
        assert labels <= {frozenset(catalogue[family.name]["labels"])}, family.name


def test_histograms_can_be_added_up(server: Server) -> None:
    scrape = server.metrics()
    for name in ("request", "queue", "compute"):
        family = f"fairlead_{name}_duration_seconds"
        shapes = set()
        for model in ("doubling", "binary"):
            buckets = scrape.where(f"{family}_bucket", endpoint=model)
            bounds = sorted((float(dict(labels)["le"]), count) for labels, count in buckets.items())
            counts = [count for _, count in bounds]
            assert counts == sorted(counts), "buckets are cumulative"
            assert bounds[-1] == (math.inf, scrape.total(f"{family}_count", endpoint=model))
            shapes.add(tuple(bound for bound, _ in bounds))
        assert len(shapes) == 1, "all series of a family have the same bounds"


def test_buckets_are_fine_enough_for_a_percentile(server: Server) -> None:
    buckets = server.metrics().where("fairlead_request_duration_seconds_bucket", endpoint="doubling")
    bounds = sorted(float(dict(labels)["le"]) for labels in buckets)
    between = [bound for bound in bounds if 1e-4 <= bound <= 1.0]
    ratios = [high / low for low, high in pairwise(between)]
    assert max(ratios) <= 1.5, "a p99.9 read off the buckets is within half of itself"
