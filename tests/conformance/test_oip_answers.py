"""The Open Inference Protocol, member by member: what a request may say, and what an answer must."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from fairlead.schema.snapshot import Role
from tests.serverkit import oip
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint, variant

ROWS = [[1, 2], [3, 4]]


@pytest.fixture(scope="module")
def server(serve_module: Serve, models: Workshop) -> Server:
    two = endpoint("binary", models.binary.bundle, version="one")
    two = two.model_copy(update={"variants": [*two.variants, variant(models.successor.bundle, "two", Role.CHALLENGER)]})
    return serve_module(
        endpoint("simple", models.simple.bundle),
        endpoint("types", models.types.bundle),
        endpoint("strings", models.strings.bundle),
        endpoint("doubling", models.doubling.bundle),
        two,
    )


def infer(server: Server, model: str, body: bytes | dict[str, Any], status: int = 200) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = server.http.post(f"/v2/models/{model}/infer", content=content)
    assert answer.status_code == status, answer.text
    return answer.json()


def simple(**members: Any) -> dict[str, Any]:
    inputs = [oip.tensor(name, "INT32", [list(range(16))]) for name in ("INPUT0", "INPUT1")]
    return {"inputs": inputs, **members}


def all_types() -> list[dict[str, Any]]:
    samples: dict[str, Any] = {"BOOL": [[True, False]] * 2, "BYTES": [["a", "b"], ["c", "d"]]}
    return [oip.tensor(name.lower(), name, samples.get(name, ROWS)) for name in oip.NUMPY]


def test_an_answer_has_exactly_the_protocols_members(server: Server) -> None:
    answer = infer(server, "simple", simple())
    assert set(answer) == {"model_name", "model_version", "parameters", "outputs"}
    assert (answer["model_name"], answer["model_version"]) == ("simple", "1")
    for output in answer["outputs"]:
        assert set(output) == {"name", "datatype", "shape", "data"}
        assert output["shape"] == [1, 16]
        assert all(type(value) is int for value in output["data"]), "data is flat"
    assert [output["name"] for output in answer["outputs"]] == ["OUTPUT0", "OUTPUT1"]


def test_the_answer_is_json_of_a_known_length(server: Server) -> None:
    answer = server.http.post("/v2/models/simple/infer", content=json.dumps(simple()))
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_the_prediction_id_is_a_new_uuid_7_each_time(server: Server) -> None:
    ids = [uuid.UUID(infer(server, "simple", simple())["parameters"]["prediction_id"]) for _ in range(20)]
    assert {value.version for value in ids} == {7}
    assert len(set(ids)) == 20
    assert [value.int >> 80 for value in ids] == sorted(value.int >> 80 for value in ids)


@pytest.mark.parametrize("name", ["a", "", 'quote " \\ å😀', "x" * 1_000])
def test_the_id_is_echoed_as_it_was_sent(server: Server, name: str) -> None:
    assert infer(server, "simple", simple(id=name))["id"] == name


@pytest.mark.parametrize("members", [{}, {"id": None}])
def test_no_id_is_made_up(server: Server, members: dict[str, Any]) -> None:
    assert "id" not in infer(server, "simple", simple(**members))


def test_outputs_come_in_the_order_they_were_asked_for(server: Server) -> None:
    for names in (["OUTPUT1", "OUTPUT0"], ["OUTPUT0"]):
        answer = infer(server, "simple", simple(outputs=[{"name": name} for name in names]))
        assert [output["name"] for output in answer["outputs"]] == names
    assert len(infer(server, "simple", simple(outputs=[]))["outputs"]) == 2


def test_flat_and_nested_data_are_the_same(server: Server) -> None:
    flat = all_types()
    nested = [{**tensor, "data": [tensor["data"][:2], tensor["data"][2:]]} for tensor in flat]
    first, second = infer(server, "types", {"inputs": flat}), infer(server, "types", {"inputs": nested})
    assert first["outputs"] == second["outputs"]
    assert [output["data"] for output in first["outputs"]] == [tensor["data"] for tensor in flat]


def test_members_may_come_in_any_order(server: Server) -> None:
    backwards = [dict(reversed(tensor.items())) for tensor in reversed(all_types())]
    answer = infer(server, "types", json.dumps({"outputs": [], "inputs": backwards, "parameters": {}}).encode())
    assert answer["outputs"] == infer(server, "types", {"inputs": all_types()})["outputs"]


def test_unknown_members_and_parameters_are_read_over(server: Server) -> None:
    request = simple(parameters={"a": [1, {"b": None}], "c": "d"}, later={"x": [[]]})
    request["inputs"][0] |= {"parameters": {"hint": True}, "comment": "…"}
    assert infer(server, "simple", request)["outputs"] == infer(server, "simple", simple())["outputs"]


def test_text_of_any_kind_and_width_comes_back(server: Server) -> None:
    texts = [["", "å∫😀", 'quote " back \\ slash'], ["\n\t\r", "\x7f\u2028", "x" * 5_000]]
    answer = infer(server, "strings", oip.body(oip.tensor("text", "BYTES", texts)))
    assert oip.outputs(answer)["text_out"].tolist() == texts


def test_numbers_at_the_ends_of_their_types_come_back(server: Server) -> None:
    ends: dict[str, list[Any]] = {
        "UINT64": [0, 2**64 - 1],
        "INT64": [-(2**63), 2**63 - 1],
        "FP32": [3.4028234663852886e38, 1.401298464324817e-45],
        "FP64": [1.7976931348623157e308, 5e-324],
    }
    inputs = [
        {**tensor, "data": ends.get(tensor["datatype"], tensor["data"][:2]), "shape": [1, 2]} for tensor in all_types()
    ]
    got = oip.outputs(infer(server, "types", {"inputs": inputs}))
    for datatype, values in ends.items():
        wanted = oip.NUMPY[datatype](values).tolist() if datatype == "FP32" else values
        assert got[f"{datatype.lower()}_out"].reshape(-1).tolist() == wanted


def test_what_overflows_in_the_model_is_still_json(server: Server) -> None:
    # Infinity is no JSON: it stands as null.
    answer = infer(server, "doubling", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [3e38, 1]}]})
    assert answer["outputs"][0]["data"] == [None, 2.0]


def test_versions_have_paths_of_their_own(server: Server, models: Workshop) -> None:
    columns = [record["amount"] for record in models.binary.records[:8]], [30.0] * 8, [5.0] * 8, [3.0] * 8
    body = oip.body(oip.tensor("input", "FP32", list(zip(*columns, strict=True))))
    answers = {path: infer(server, f"binary{path}", body) for path in ("", "/versions/one", "/versions/two")}
    assert {path: answer["model_version"] for path, answer in answers.items()} == {
        "": "one",
        "/versions/one": "one",
        "/versions/two": "two",
    }
    assert answers[""]["outputs"] == answers["/versions/one"]["outputs"] != answers["/versions/two"]["outputs"]
    assert answers["/versions/two"]["parameters"]["variant"] == "challenger"
    metadata = server.http.get("/v2/models/binary/versions/two").json()
    assert (metadata["versions"], metadata["properties"]["bundle"]) == (["one", "two"], models.successor.sha256)


def test_server_metadata(server: Server) -> None:
    metadata = server.http.get("/v2").json()
    assert set(metadata) == {"name", "version", "extensions"}
    assert (metadata["name"], metadata["extensions"]) == ("fairlead", [])


def test_readiness_names_the_model(server: Server) -> None:
    assert server.http.get("/v2/health/live").json() == {"live": True}
    assert server.http.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/simple/ready", "/v2/models/simple/versions/1/ready"):
        assert server.http.get(path).json() == {"name": "simple", "ready": True}


def test_an_error_is_the_protocols_with_a_code(server: Server) -> None:
    answer = infer(server, "simple", b"{", 400)
    assert set(answer) == {"error", "code"}
    assert isinstance(answer["error"], str)
    assert answer["code"] == "malformed_request"


def test_records_and_tensors_get_one_answer(server: Server, models: Workshop) -> None:
    records = models.binary.records[:16]
    by_name = server.http.post("/v1/endpoints/binary:predict", json={"records": records}).json()
    names = [feature["name"] for feature in server.http.get("/v1/endpoints").json()["endpoints"][0]["features"]]
    values = [[record[name] for name in names] for record in records]
    tensor = {"name": "input", "datatype": "FP32", "shape": [16, 4], "data": values}
    by_tensor = oip.outputs(infer(server, "binary", {"inputs": [tensor]}))
    assert [row["score"] for row in by_name["predictions"]] == [
        pytest.approx(score, abs=0) for score in shortest(by_tensor["probabilities"][:, 1])
    ]


def shortest(values: Any) -> list[float]:
    """Return singles as the shortest decimals that stand for them, as JSON has them."""
    return [float(str(value)) for value in values]
