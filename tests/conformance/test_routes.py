"""Paths and methods: what is there, what is not, and what may be done with it."""

from __future__ import annotations

import pytest

from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint

READ_ONLY = (
    "/",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/simple",
    "/v2/models/simple/ready",
    "/v2/models/simple/versions/1",
    "/v2/models/simple/versions/1/ready",
    "/v1/endpoints",
    "/openapi.json",
    "/docs",
    "/metrics",
    "/ping",
    "/health",
    "/version",
)
POST_ONLY = (
    "/v2/models/simple/infer",
    "/v2/models/simple/versions/1/infer",
    "/v1/endpoints/simple:predict",
    "/v1/endpoints/simple/invocations",
    "/invocations",
)
UNKNOWN_ROUTES = (
    "/v1",
    "/v3",
    "/v2/models",
    "/v2/models/simple/other",
    "/v2/models/simple/versions/1/infer/more",
    "/v1/endpoints/simple:explain",
    "/v1/endpoints/:predict",
    "/v1/endpoints//invocations",
    "/invocations/",
    "/metrics/",
    "/snapshot",
    "/debug/state",
    "//v2",
    "/v2/../v2",
)


@pytest.fixture(scope="module")
def server(serve_module: Serve, models: Workshop) -> Server:
    return serve_module(endpoint("simple", models.simple.bundle))


@pytest.mark.parametrize("path", READ_ONLY)
def test_get_and_head_agree(server: Server, path: str) -> None:
    got, head = server.http.get(path), server.http.head(path)
    assert (got.status_code, head.status_code) == (200, 200)
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.content == b""
    if path != "/metrics":  # a scrape counts itself
        assert head.headers["content-length"] == str(len(got.content))


@pytest.mark.parametrize("path", READ_ONLY)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_what_is_read_only_takes_nothing_else(server: Server, path: str, method: str) -> None:
    answer = server.http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"
    assert method in answer.json()["error"]


@pytest.mark.parametrize("path", POST_ONLY)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_predictions_take_post_only(server: Server, path: str, method: str) -> None:
    answer = server.http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", UNKNOWN_ROUTES)
def test_an_unknown_route_is_named(server: Server, path: str) -> None:
    answer = server.http.get(f"{server.url}{path}")
    if path == "/v2/../v2":  # the client resolves it before it asks
        assert answer.status_code == 200
        return
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_route")
    assert path in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "code", "named"),
    [
        ("/v2/models/absent", "unknown_endpoint", "absent"),
        ("/v2/models/absent/ready", "unknown_endpoint", "absent"),
        ("/v2/models/simple/versions/2", "unknown_version", "2; it has 1"),
        ("/v2/models/simple/versions/2/ready", "unknown_version", "2; it has 1"),
    ],
)
def test_an_unknown_model_or_version_is_named(server: Server, path: str, code: str, named: str) -> None:
    answer = server.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert named in answer.json()["error"]


@pytest.mark.parametrize(
    "path", ["/v2/models/absent/infer", "/v1/endpoints/absent:predict", "/v1/endpoints/absent/invocations"]
)
def test_predictions_of_an_unknown_endpoint_are_refused(server: Server, path: str) -> None:
    answer = server.http.post(path, json={})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_endpoint")


def test_records_for_a_model_of_raw_tensors_are_sent_to_the_right_route(server: Server) -> None:
    answer = server.http.post("/v1/endpoints/simple:predict", json={"records": [{}]})
    assert (answer.status_code, answer.json()["code"]) == (501, "unsupported")
    assert "/v2/models/" in answer.json()["error"]


def test_percent_codes_in_names_are_understood(server: Server) -> None:
    assert server.http.get(f"{server.url}/v2/models/s%69mple").status_code == 200
    answer = server.http.get(f"{server.url}/v2/models/%ff%00%2e")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_endpoint")


def test_a_query_is_read_over(server: Server) -> None:
    assert server.http.get("/v2/health/ready?probe=1").status_code == 200


@pytest.mark.parametrize("path", ["/health", "/snapshot", "/debug/state", "/metrics"])
def test_administration_tells_what_it_takes(server: Server, path: str) -> None:
    assert server.admin.get(path).status_code == 200
    answer = server.admin.delete(path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    for method in answer.headers["allow"].split(", "):
        body = server.admin.get(path).content if method == "PUT" else None
        assert server.admin.request(method, path, content=body).status_code != 405, f"{method} is said to be allowed"


def test_every_route_of_administration_that_can_be_put_says_so(server: Server) -> None:
    assert "PUT" in server.admin.delete("/snapshot").headers["allow"]


def test_administration_serves_no_predictions(server: Server) -> None:
    for path in (*POST_ONLY, "/v2"):
        assert server.admin.post(path, json={}).json()["code"] == "unknown_route"
