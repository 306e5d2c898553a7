"""Bundle storage in an object store, over S3's own protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from fairlead.errors import BadInputError, StoreError
from fairlead.schema.bundle import Manifest
from fairlead.store.objects import BundleStorage, open_storage
from tests.serverkit.bundles import sha256_of, small_bundle
from tests.serverkit.control import ControlPlane
from tests.serverkit.models import Workshop
from tests.serverkit.servers import s3_server
from tests.serverkit.waiting import until

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
BUCKET = "models"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment for an S3 server that has a bucket."""
    with s3_server(tmp_path_factory.mktemp("s3")) as url:
        httpx.put(f"{url}/{BUCKET}", trust_env=False).raise_for_status()
        yield {**CREDENTIALS, "AWS_ENDPOINT_URL": url}


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BundleStorage:
    """Each kind of storage."""
    if request.param == "folder":
        return open_storage(tmp_path / "storage")
    for name, value in request.getfixturevalue("s3").items():
        monkeypatch.setenv(name, value)
    return open_storage(f"s3://{BUCKET}/some/prefix")


def kept(storage: BundleStorage, source: Path) -> str:
    with storage.staging() as folder:
        for path in source.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        return storage.keep(folder, Manifest.read(folder / "manifest.json"), sha256_of(source))


def test_what_is_kept_comes_back(storage: BundleStorage, tmp_path: Path) -> None:
    model = bytes(range(256)) * 20_000
    source = small_bundle(tmp_path, "fraud", model)
    location = kept(storage, source)
    assert kept(storage, source) == location
    for path in source.iterdir():
        assert b"".join(storage.read(location, path.name)) == path.read_bytes()
    with pytest.raises(FileNotFoundError):
        next(storage.read(location, "nothing"))
    assert storage.path(location)


def test_a_store_that_does_not_answer_is_said_to_be_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError) as caught:
        next(open_storage(f"s3://{BUCKET}").read("x", "y"))
    assert caught.value.code == "storage_unavailable"


def test_another_kind_of_storage_is_refused() -> None:
    with pytest.raises(BadInputError):
        open_storage("ftp://host/folder")


def test_both_planes_on_an_object_store(
    s3: dict[str, str], start_control: Callable[..., ControlPlane], models: Workshop
) -> None:
    arguments = ("--bundles", f"s3://{BUCKET}/control", "--data-port", "0")
    control = start_control(*arguments, environment=s3)
    model = models.binary
    with control.client() as client:
        sha256 = client.push(model.bundle)["sha256"]
        client.put("/endpoints/risk", {})
        client.put("/endpoints/risk/roles/champion", {"sha256": sha256})
        reference = client.get("/snapshot")["endpoints"][0]["variants"][0]["bundle"]
    assert reference["path"] == f"{control.url}/api/v1/bundles/{sha256}"
    for entry in Manifest.read(model.bundle / "manifest.json").files:
        content = httpx.get(f"{reference['path']}/files/{entry.path}", trust_env=False).content
        assert hashlib.sha256(content).hexdigest() == entry.sha256
    records = list(model.records[:3])
    with httpx.Client(base_url=control.addresses["data_url"], trust_env=False) as http:

        def predicted() -> list[float]:
            answer = http.post("/v1/endpoints/risk:predict", json={"records": records})
            return [one["score"] for one in answer.json()["predictions"]] if answer.status_code == 200 else []

        assert until(predicted, "the data plane serves it", seconds=30) == pytest.approx(model.scores(records))
    assert control.stop() == 0
