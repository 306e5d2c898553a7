"""The mirror, against a real MLflow server and seen with MLflow's own client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.schema.registry import BundleRecord
from tests.serverkit.bundles import signature, small_bundle
from tests.serverkit.control import ControlPlane
from tests.serverkit.servers import mlflow_server
from tests.serverkit.waiting import until

# MLflow's own remarks on the libraries that it imports.
pytestmark = [pytest.mark.timeout(180), pytest.mark.filterwarnings("default")]

StartControl = Callable[..., ControlPlane]


@pytest.fixture(scope="module")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.fixture
def theirs(mlflow_url: str) -> Any:
    """MLflow's own client."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=mlflow_url, registry_uri=mlflow_url)


def aliases(theirs: Any, model: str) -> dict[str, str]:
    return {alias: str(version) for alias, version in theirs.get_registered_model(model).aliases.items()}


def test_bundles_and_roles_are_mirrored_and_aliases_moved_there_come_back(
    theirs: Any, mlflow_url: str, start_control: StartControl, tmp_path: Path
) -> None:
    control = start_control("--mlflow-every", "0.3", environment={"MLFLOW_TRACKING_URI": mlflow_url})
    with control.client() as client:
        first, second, third = (
            client.push(small_bundle(tmp_path, "fraud", model))["sha256"] for model in (b"1", b"2", b"3")
        )
        other = client.push(small_bundle(tmp_path, "fraud", b"4", wanted=signature("age")))["sha256"]
        client.put("/endpoints/fraud", {})
        client.put("/endpoints/fraud/roles/champion", {"sha256": first})

        def mirrored() -> dict[str, Any]:
            found = theirs.search_model_versions("name='fraud'")
            return {one.tags["fairlead.sha256"]: one for one in found}

        until(lambda: len(mirrored()) == 4, "four versions are registered", seconds=60)
        numbers = {sha256: str(one.version) for sha256, one in mirrored().items()}
        until(
            lambda: aliases(theirs, "fraud") == {"champion": numbers[first]}, "the champion has the alias", seconds=30
        )
        assert mirrored()[first].tags["fairlead.version"] == "1"

        # A role given here is an alias there.
        client.put("/endpoints/fraud/roles/challenger", {"sha256": second})
        wanted = {"champion": numbers[first], "challenger": numbers[second]}
        until(lambda: aliases(theirs, "fraud") == wanted, "the challenger has the alias", seconds=30)

        # An alias moved there is a move here, by `mlflow`, where an operator might.
        theirs.set_registered_model_alias("fraud", "challenger", numbers[third])

        def challenger() -> str:
            return str(client.get("/endpoints/fraud/roles/challenger")["sha256"])

        until(lambda: challenger() == third, "the alias became a role", seconds=30)
        assert client.get("/endpoints/fraud/roles/challenger")["actor"] == "mlflow"

        # Where an operator might not, it is a proposal, and the alias says again what is true.
        def proposals() -> list[Any]:
            found: list[Any] = client.get("/decisions", kind="role.proposed")
            return found

        theirs.set_registered_model_alias("fraud", "champion", numbers[second])
        until(lambda: len(proposals()) == 1, "a proposal is recorded", seconds=30)
        assert proposals()[0]["verdict"] == "inconclusive"
        assert proposals()[0]["evidence"]["wanted_version"] == numbers[second]
        until(lambda: aliases(theirs, "fraud")["champion"] == numbers[first], "the alias is put back", seconds=30)
        assert client.get("/endpoints/fraud/roles/champion")["sha256"] == first

        # What the rules forbid is refused, and recorded too.
        theirs.set_registered_model_alias("fraud", "challenger", numbers[other])
        until(lambda: len(proposals()) == 2, "the refusal is recorded", seconds=30)
        assert (proposals()[0]["verdict"], proposals()[0]["evidence"]["code"]) == ("fail", "signature_incompatible")
        until(lambda: aliases(theirs, "fraud")["challenger"] == numbers[third], "the alias is put back", seconds=30)

        # An alias removed there vacates the role; the champion stays.
        theirs.delete_registered_model_alias("fraud", "challenger")
        until(
            lambda: "challenger" not in {one["role"] for one in client.get("/endpoints/fraud/roles")},
            "the challenger is archived",
            seconds=30,
        )
    assert control.stop() == 0


def test_a_server_that_is_away_is_given_up_soon(theirs: Any) -> None:
    from mlflow.exceptions import MlflowException

    from fairlead.registry.mlflow import MlflowServer

    started = time.monotonic()
    with pytest.raises(MlflowException):
        MlflowServer("http://127.0.0.1:1").ensure_model("fraud")
    assert time.monotonic() - started < 15


def test_a_bundle_that_comes_from_a_run_is_linked_to_it(theirs: Any) -> None:
    from fairlead.registry.mlflow import MlflowServer

    run = theirs.create_run(theirs.create_experiment("training")).info.run_id
    remote = MlflowServer(theirs.tracking_uri)
    remote.ensure_model("linked")
    record = BundleRecord(
        sha256="a" * 64,
        name="linked",
        version=1,
        engine="onnx",
        requires_trust=False,
        size=1,
        location="x",
        pushed_us=0,
        pushed_by="me",
        tags={"mlflow.run_id": run},
    )
    number = remote.add_version(record, "fairlead://bundles/x")
    assert theirs.get_model_version("linked", number).run_id == run
    assert remote.versions("linked") == {"a" * 64: number}
