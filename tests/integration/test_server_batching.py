"""A row's answer does not depend on its company: alone, in a request of many, or in a batch with other requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serverkit import oip
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint
from tests.serverkit.wire import Wire, request

EXACT = ("binary", "regression", "moody")
# ONNX Runtime multiplies matrices of one row in another order than those of many: the last bits of such models
# depend on the batch there, whoever calls it. Trees, tables and Python functions have no such excuse.
NEAR = ("pipeline", "multiclass")
KINDS = EXACT + NEAR
LAST_BITS = 2e-6
DISPATCHES = ("inline", "threads", "auto")
WAIT_US = 2_000
LONGEST = 40

Sizes = Sequence[int]


@pytest.fixture(scope="module", params=DISPATCHES)
def server(request: pytest.FixtureRequest, serve_module: Serve, models: Workshop) -> Server:
    return serve_module(
        *(
            endpoint(name, getattr(models, name).bundle, dispatch=request.param, max_rows=16, max_wait_us=WAIT_US)
            for name in KINDS
        ),
        endpoint("strings", models.strings.bundle, dispatch=request.param, max_rows=16, max_wait_us=WAIT_US),
    )


def requests_of(count: int) -> st.SearchStrategy[list[list[int]]]:
    """Return requests sent at once, each with the rows (by number) that it asks for."""
    return st.lists(st.lists(st.integers(0, count - 1), min_size=1, max_size=LONGEST), min_size=1, max_size=8)


async def all_at_once(url: str, path: str, bodies: Sequence[bytes]) -> list[Any]:
    async with httpx.AsyncClient(base_url=url, timeout=20.0, trust_env=False) as client:
        answers = await asyncio.gather(*(client.post(path, content=body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    return [answer.json() for answer in answers]


def without_ids(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "prediction_id"} for row in answer["predictions"]]


def agree(name: str, got: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    if name in EXACT:
        assert got == wanted
        return
    assert [row["decision"] for row in got] == [row["decision"] for row in wanted]
    assert [row["score"] for row in got] == pytest.approx([row["score"] for row in wanted], abs=LAST_BITS)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", KINDS)
def test_a_record_gets_the_same_answer_in_any_company(server: Server, models: Workshop, name: str) -> None:
    records, path = getattr(models, name).records, f"/v1/endpoints/{name}:predict"
    alone = {}
    for number, record in enumerate(records[:50]):
        [alone[number]] = without_ids(server.http.post(path, json={"records": [record]}).json())

    @settings(max_examples=25)
    @given(requests=requests_of(len(alone)))
    def check(requests: list[list[int]]) -> None:
        bodies = [json.dumps({"records": [records[number] for number in rows]}).encode() for rows in requests]
        answers = asyncio.run(all_at_once(server.url, path, bodies))
        for answer, rows in zip(answers, requests, strict=True):
            agree(name, without_ids(answer), [alone[number] for number in rows])

    check()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", KINDS)
def test_the_answers_are_the_models_own(server: Server, models: Workshop, name: str) -> None:
    model = getattr(models, name)
    records = list(model.records[:100])
    answer = server.http.post(f"/v1/endpoints/{name}:predict", json={"records": records}).json()
    assert [row["score"] for row in answer["predictions"]] == pytest.approx(model.scores(records), rel=1e-6, abs=1e-6)


@settings(max_examples=25)
@given(requests=st.lists(st.lists(st.text(max_size=12), min_size=1, max_size=12), min_size=1, max_size=8))
def test_requests_of_different_shapes_do_not_mix(server: Server, requests: list[list[str]]) -> None:
    # One row each, of as many texts as the request has: only those of one width can share a batch.
    clean = [[text.replace("\0", "") for text in texts] for texts in requests]
    bodies = [oip.body(oip.tensor("text", "BYTES", [texts])) for texts in clean]
    answers = asyncio.run(all_at_once(server.url, "/v2/models/strings/infer", bodies))
    assert [oip.outputs(answer)["text_out"].tolist() for answer in answers] == [[texts] for texts in clean]


def test_a_request_larger_than_a_batch_is_answered_whole(server: Server) -> None:
    texts = [[str(number)] for number in range(1_000)]
    answers = asyncio.run(
        all_at_once(server.url, "/v2/models/strings/infer", [oip.body(oip.tensor("text", "BYTES", texts))])
    )
    assert oip.outputs(answers[0])["text_out"].tolist() == texts


@pytest.mark.parametrize("dispatch", DISPATCHES)
def test_requests_that_come_together_do_share_batches(serve: Serve, models: Workshop, dispatch: str) -> None:
    # It waits half a second for company: whatever the machine does meanwhile, some of many will have come.
    patient = endpoint("binary", models.binary.bundle, dispatch=dispatch, max_rows=16, max_wait_us=500_000)
    server = serve(patient)
    content = request("/v1/endpoints/binary:predict", json.dumps({"records": [models.binary.records[0]]}).encode())
    sent = 64
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.address)) for _ in range(sent)]
        for wire in wires:
            wire.send(content)
        assert {wire.read().status for wire in wires} == {200}
    scrape = server.metrics()
    assert scrape.total("fairlead_rows_total") == sent
    assert scrape.total("fairlead_batches_total") < sent / 2


def test_ids_of_a_request_are_consecutive_and_of_no_other(server: Server, models: Workshop) -> None:
    records = list(models.binary.records[:10])
    body = json.dumps({"records": records}).encode()
    answers = asyncio.run(all_at_once(server.url, "/v1/endpoints/binary:predict", [body] * 20))
    ids = [[int(row["prediction_id"].replace("-", ""), 16) for row in answer["predictions"]] for answer in answers]
    assert all(found == list(range(found[0], found[0] + len(records))) for found in ids)
    assert len({number for found in ids for number in found}) == 20 * len(records)
