"""MLflow's scoring protocol: its own client, and its own server's parser and writer beside ours on the same bytes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairlead.bundle import open_bundle
from tests.serverkit.fixtures import Serve
from tests.serverkit.models import Model, Workshop
from tests.serverkit.server import Server
from tests.serverkit.snapshots import endpoint

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's remarks on itself
    from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS, MlflowException
    from mlflow.pyfunc import scoring_server as _scoring_server
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient as _Client

# MLflow's functions have no types.
invocations: Callable[..., Any] = _scoring_server.invocations
ScoringServerClient: Callable[..., Any] = _Client

NAMES = ("binary", "pipeline", "multiclass", "regression")
JSON = "application/json"
CSV = "text/csv; charset=utf-8"


@pytest.fixture(scope="module")
def servers(serve_module: Serve, models: Workshop) -> dict[str, Server]:
    """One server for each model, so that `/invocations` has one meaning."""
    return {name: serve_module(endpoint(name, getattr(models, name).bundle)) for name in NAMES}


class PlainModel:
    """What MLflow's server calls: the bundle's model, whose `predict` gives labels or numbers, as scikit-learn's do."""

    metadata = object()

    def __init__(self, model: Model) -> None:
        self._predictor = open_bundle(model.bundle).predictor()

    def predict(self, data: Any) -> list[Any]:
        """Answer a frame, columns by name, or rows."""
        frame = pd.DataFrame(data)
        if isinstance(frame.columns, pd.RangeIndex):
            frame.columns = pd.Index([feature.name for feature in self._predictor.signature.features])
        plain = frame.astype(object).where(frame.notna(), None)
        answers = self._predictor.predict(plain.to_dict("records"))
        return [answer.score if answer.decision is None else answer.decision for answer in answers]


def theirs(model: Model, content: bytes, kind: str = JSON) -> list[Any]:
    """Return what MLflow's server answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = invocations(content, kind, PlainModel(model), None)
    assert answer.status == 200, answer.response
    predictions: list[Any] = json.loads(answer.response)["predictions"]
    return predictions


def ours(server: Server, content: bytes, kind: str = JSON) -> list[Any]:
    answer = server.http.post("/invocations", content=content, headers={"content-type": kind})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"predictions"}
    predictions: list[Any] = body["predictions"]
    return predictions


def frame_of(model: Model, rows: int = 25) -> pd.DataFrame:
    return pd.DataFrame(list(model.records[:rows]))


PAYLOADS: Mapping[str, Callable[[pd.DataFrame], tuple[bytes, str]]] = {
    "to_json split": lambda frame: (b'{"dataframe_split": %b}' % frame.to_json(orient="split").encode(), JSON),
    "to_json records": lambda frame: (b'{"dataframe_records": %b}' % frame.to_json(orient="records").encode(), JSON),
    "to_dict split": lambda frame: (json.dumps({"dataframe_split": frame.to_dict("split")}).encode(), JSON),
    "instances of records": lambda frame: (json.dumps({"instances": frame.to_dict("records")}).encode(), JSON),
    "instances of rows": lambda frame: (json.dumps({"instances": frame.to_numpy().tolist()}).encode(), JSON),
    "inputs by column": lambda frame: (json.dumps({"inputs": frame.to_dict("list")}).encode(), JSON),
    "inputs of records": lambda frame: (json.dumps({"inputs": frame.to_dict("records")}).encode(), JSON),
    "inputs of rows": lambda frame: (json.dumps({"inputs": frame.to_numpy().tolist()}).encode(), JSON),
    "csv": lambda frame: (frame.to_csv(index=False).encode(), CSV),
    "other members": lambda frame: (
        json.dumps({"client_request_id": "x", "inputs": frame.to_dict("list"), "params": None}).encode(),
        "application/json; charset=UTF-8",
    ),
}


# MLflow's server, which knows no signature here, makes one array of numbers and text: nothing to compare with.
MADE_TEXT = {("pipeline", form) for form in ("instances of rows", "inputs of rows", "inputs of records")}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", PAYLOADS)
def test_the_answer_is_that_of_mlflows_server(
    servers: dict[str, Server], models: Workshop, name: str, form: str
) -> None:
    model: Model = getattr(models, name)
    frame = frame_of(model)
    content, kind = PAYLOADS[form](frame)
    wanted = PlainModel(model).predict(frame) if (name, form) in MADE_TEXT else theirs(model, content, kind)
    got = ours(servers[name], content, kind)
    assert len(wanted) == 25
    assert got == (pytest.approx(wanted, rel=1e-5) if name == "regression" else wanted)
    assert [type(value) for value in got] == [type(value) for value in wanted]


@pytest.mark.parametrize("name", NAMES)
def test_mlflows_client_is_answered(servers: dict[str, Server], models: Workshop, name: str) -> None:
    host, port = servers[name].address
    client = ScoringServerClient(host, port)
    client.wait_server_ready(timeout=5)
    assert client.get_version()
    frame = frame_of(getattr(models, name))
    answer = client.invoke(frame).get_predictions()
    wanted = PlainModel(getattr(models, name)).predict(frame)
    assert len(answer) == 25
    if name == "regression":
        np.testing.assert_allclose(answer[0], wanted, rtol=1e-5)
    else:
        assert answer[0].tolist() == wanted


def test_missing_numbers_come_as_nan_and_are_null(servers: dict[str, Server], models: Workshop) -> None:
    frame = frame_of(models.binary, rows=8)
    assert frame["income"].isna().any()
    assert b"NaN" in json.dumps(frame.to_dict("split")).encode()
    host, port = servers["binary"].address
    answer = ScoringServerClient(host, port).invoke(frame, params={"predictions": "score"}).get_predictions()
    assert answer[0].tolist() == pytest.approx(models.binary.scores(models.binary.records[:8]), abs=1e-6)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b"3",
        b"{}",
        b'{"columns": ["amount"], "data": [[1]]}',
        b'{"dataframe_split": [1]}',
        b'{"dataframe_split": {"columns": ["amount"]}}',
        b'{"dataframe_split": {"columns": ["amount"], "data": [[1, 2]]}}',
        b'{"dataframe_split": {"data": [], "rows": []}}',
        b'{"dataframe_records": {"amount": 1}}',
        b'{"inputs": [], "instances": []}',
        b'{"inputs": "\xff"}',
    ],
)
def test_what_mlflow_refuses_with_400_is_refused_so(
    servers: dict[str, Server], models: Workshop, content: bytes
) -> None:
    with pytest.raises(MlflowException) as theirs:
        invocations(content, JSON, PlainModel(models.binary), None)
    assert ERROR_CODE_TO_HTTP_STATUS[theirs.value.error_code] == 400
    answer = servers["binary"].http.post("/invocations", content=content, headers={"content-type": JSON})
    assert answer.status_code == 400
    assert (answer.json()["error_code"], set(answer.json()) - {"details"}) == (
        "BAD_REQUEST",
        {"error_code", "message", "code"},
    )


@pytest.mark.parametrize("kind", ["text/plain", "application/json; charset=latin-1", "application/json; format=split"])
def test_content_types_that_mlflow_refuses_are_refused(servers: dict[str, Server], models: Workshop, kind: str) -> None:
    assert invocations(b"{}", kind, PlainModel(models.binary), None).status == 415
    answer = servers["binary"].http.post("/invocations", content=b"{}", headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert answer.json()["error_code"] in ERROR_CODE_TO_HTTP_STATUS


def test_mlflows_client_says_what_is_wrong(servers: dict[str, Server]) -> None:
    host, port = servers["binary"].address
    with pytest.raises(Exception, match=r"error code 422.*INVALID_PARAMETER_VALUE.*field amount"):
        ScoringServerClient(host, port).invoke(pd.DataFrame({"amount": ["much"], "age": [1], "visits": [2]}))
