"""Bundles that are broken: named at once, at the start and in a snapshot, while what runs goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fairlead.schema.bundle import Manifest
from fairlead.schema.signature import Datatype, Signature, TensorSpec
from tests.serverkit.fixtures import Serve
from tests.serverkit.forge import damaged, reforged, written
from tests.serverkit.graphs import doubling
from tests.serverkit.models import Workshop
from tests.serverkit.server import Launch, Server
from tests.serverkit.snapshots import endpoint, snapshot
from tests.serverkit.waiting import until

Ports = tuple[tuple[str, str], tuple[str, str]]
"""Name and datatype of the input, and of the output, that a signature claims."""


def refused_at_start(folder: Path, bundle: Path, code: str, *named: str) -> None:
    server = Server(Launch(folder=folder, snapshot=snapshot(endpoint("broken", bundle))))
    try:
        assert server.wait_until_ended() == 1
    finally:
        server.kill()
    words = server.stderr()
    assert f"error: {code}:" in words
    assert [name for name in ("endpoint broken", *named) if name not in words] == [], words
    assert "Traceback" not in words


def refused_in_a_snapshot(serve: Serve, models: Workshop, bundle: Path, code: str, *named: str) -> None:
    good = endpoint("binary", models.binary.bundle)
    server = serve(good)
    answer = server.put(snapshot(good, endpoint("broken", bundle), generation=2))
    told = answer.json()
    assert (answer.status_code, told["code"]) == (400, code), told
    assert [name for name in ("endpoint broken", *named) if name not in told["error"]] == [], told["error"]
    assert server.state()["generation"] == 1
    assert server.http.get("/v2/models/broken").json()["code"] == "unknown_endpoint"
    row = models.binary.records[0]
    assert server.http.post("/v1/endpoints/binary:predict", json={"records": [row]}).status_code == 200
    assert server.metrics().total("fairlead_snapshots_total", outcome=code) == 1


def everywhere(serve: Serve, models: Workshop, folder: Path, bundle: Path, code: str, *named: str) -> None:
    refused_at_start(folder / "server", bundle, code, *named)
    refused_in_a_snapshot(serve, models, bundle, code, *named)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x01" + b"\xff" * 64], ids=["empty", "text", "torn"])
def test_a_model_file_that_is_not_a_model(serve: Serve, models: Workshop, tmp_path: Path, content: bytes) -> None:
    bundle = written(tmp_path, "broken", doubling()[1], content)
    everywhere(serve, models, tmp_path, bundle, "model_invalid")


@pytest.mark.parametrize("file", ["model.onnx", "signature.json", "manifest.json", "DIGEST", "profile.json"])
def test_a_flipped_bit_is_found_and_its_file_named(serve: Serve, models: Workshop, tmp_path: Path, file: str) -> None:
    bundle = damaged(models.binary.bundle, file, tmp_path)
    named = "manifest.json" if file == "DIGEST" else file
    everywhere(serve, models, tmp_path, bundle, "bundle_corrupt", named)


@pytest.mark.parametrize("file", ["model.onnx", "signature.json", "DIGEST"])
def test_a_file_that_is_gone_is_named(serve: Serve, models: Workshop, tmp_path: Path, file: str) -> None:
    bundle = tmp_path / models.binary.bundle.name
    shutil.copytree(models.binary.bundle, bundle)
    (bundle / file).unlink()
    everywhere(serve, models, tmp_path, bundle, "bundle_corrupt", file)


def test_a_folder_that_is_no_bundle_is_named(serve: Serve, models: Workshop, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    everywhere(serve, models, tmp_path, tmp_path / "empty", "bundle_missing", "manifest.json")


def test_a_bundle_that_is_not_the_one_asked_for(serve: Serve, models: Workshop) -> None:
    good = endpoint("binary", models.binary.bundle)
    server = serve(good)
    [variant] = good.variants
    other = variant.bundle.model_copy(update={"sha256": "0" * 64})
    wanted = good.model_copy(update={"variants": [variant.model_copy(update={"bundle": other})]})
    answer = server.put(snapshot(wanted, generation=2))
    assert (answer.status_code, answer.json()["code"]) == (400, "bundle_corrupt")
    assert models.binary.sha256 in answer.json()["error"]
    assert server.state()["generation"] == 1


@pytest.mark.parametrize(
    ("ports", "named"),
    [
        ((("y", "FP32"), ("twice", "FP32")), "input x"),
        ((("x", "FP64"), ("twice", "FP32")), "FP64"),
        ((("x", "FP32"), ("thrice", "FP32")), "thrice"),
        ((("x", "FP32"), ("twice", "BYTES")), "BYTES"),
    ],
)
def test_a_signature_that_is_not_the_graphs(
    serve: Serve, models: Workshop, tmp_path: Path, ports: Ports, named: str
) -> None:
    taken, given = ([TensorSpec(name=name, datatype=Datatype(kind), shape=[-1])] for name, kind in ports)
    bundle = written(tmp_path, "broken", Signature(inputs=taken, outputs=given), doubling()[0])
    everywhere(serve, models, tmp_path, bundle, "model_invalid", named)


def test_a_pickle_is_not_loaded_unasked(serve: Serve, models: Workshop, tmp_path: Path) -> None:
    bundle = tmp_path / "moody"
    shutil.copytree(models.moody.bundle, bundle)
    manifest = Manifest.read(bundle / "manifest.json").model_copy(update={"requires_trust": True})
    (bundle / "manifest.json").write_bytes(manifest.canonical_json())
    untrusted = reforged(bundle)
    server = serve(endpoint("binary", models.binary.bundle))
    answer = server.put(snapshot(endpoint("moody", untrusted), generation=2))
    assert (answer.status_code, answer.json()["code"]) == (403, "bundle_untrusted")
    assert server.state()["generation"] == 1
    trusting = serve(endpoint("moody", untrusted), arguments=["--trust-pickle"])
    assert trusting.http.get("/v2/health/ready").status_code == 200


def test_code_that_cannot_be_imported_is_told_in_its_own_words(serve: Serve, models: Workshop, tmp_path: Path) -> None:
    bundle = tmp_path / "moody"
    shutil.copytree(models.moody.bundle, bundle)
    engine = {"entry": "moods:no_such_function"}
    everywhere(serve, models, tmp_path, reforged(bundle, **engine), "model_invalid", "no_such_function")


def test_nothing_of_a_refused_snapshot_is_left_running(serve: Serve, models: Workshop, tmp_path: Path) -> None:
    server = serve(endpoint("binary", models.binary.bundle))
    threads, workers = server.processes.threads(), server.processes.descendants().living()
    bad = endpoint("broken", tmp_path / "absent")
    for generation in range(2, 5):
        wanted = [endpoint("moody", models.moody.bundle), endpoint("binary", models.successor.bundle), bad]
        assert server.put(snapshot(*wanted, generation=generation)).json()["code"] == "bundle_missing"
    until(lambda: server.processes.descendants().living() == workers, "the workers of refused snapshots end")
    until(lambda: server.processes.threads() == threads, f"the threads of refused snapshots end, as {threads}")
