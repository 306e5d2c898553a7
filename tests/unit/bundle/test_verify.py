"""Whatever happens to a bundle's bytes, verify finds it and names the file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fairlead.bundle import PackResult, open_bundle, verify
from fairlead.errors import BundleError

FILES = [
    "DIGEST",
    "checks.json",
    "environment.json",
    "golden.json",
    "lineage.json",
    "manifest.json",
    "model.onnx",
    "profile.json",
    "signature.json",
]


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_bundle_has_exactly_these_files_and_is_sound(packed: PackResult) -> None:
    assert names(packed.path) == FILES
    assert verify(packed.path) == []


@pytest.mark.parametrize("where", ["first", "middle", "last"])
@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_found_and_its_file_named(copy: Path, name: str, where: str) -> None:
    path = copy / name
    content = bytearray(path.read_bytes())
    position = {"first": 0, "middle": len(content) // 2, "last": len(content) - 1}[where]
    content[position] ^= 0x01
    path.write_bytes(content)
    assert name in [finding.path for finding in verify(copy)]


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_found_and_named(copy: Path, name: str) -> None:
    path = copy / name
    path.write_bytes(path.read_bytes()[:-1])
    assert name in [finding.path for finding in verify(copy)]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found_and_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert [(finding.path, finding.problem) for finding in verify(copy)] == [(name, "is missing")]


@pytest.mark.parametrize("name", ["extra.txt", "code/extra.py", ".hidden"])
def test_an_extra_file_is_found_and_named(copy: Path, name: str) -> None:
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text("x")
    assert [finding.path for finding in verify(copy)] == [name]


def test_a_flipped_digest_is_told_from_a_changed_manifest_by_the_folders_name(copy: Path) -> None:
    digest = (copy / "DIGEST").read_text()
    (copy / "DIGEST").write_text(("0" if digest[0] != "0" else "1") + digest[1:])
    assert [finding.path for finding in verify(copy)] == ["DIGEST"]


def test_a_renamed_folder_is_still_sound(copy: Path) -> None:
    moved = copy.rename(copy.with_name("production"))
    assert verify(moved) == []


def test_a_link_in_place_of_a_file_is_found(copy: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    shutil.move(copy / "model.onnx", outside)
    (copy / "model.onnx").symlink_to(outside)
    assert [(f.path, f.problem) for f in verify(copy)] == [("model.onnx", "is a link")]


def test_a_path_out_of_the_bundle_is_refused(copy: Path) -> None:
    manifest = (copy / "manifest.json").read_text()
    (copy / "manifest.json").write_text(manifest.replace('"model.onnx"', '"../model.onnx"'))
    problems = [finding.problem for finding in verify(copy)]
    assert any("no bundle may have" in problem for problem in problems)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle folder"):
        verify(tmp_path / "nothing")


def test_opening_a_bundle_with_a_changed_manifest_fails(copy: Path) -> None:
    (copy / "manifest.json").write_bytes((copy / "manifest.json").read_bytes() + b" ")
    with pytest.raises(BundleError, match="do not agree"):
        open_bundle(copy)


def test_a_predictor_does_not_load_a_changed_model(copy: Path) -> None:
    (copy / "model.onnx").write_bytes((copy / "model.onnx").read_bytes() + b" ")
    with pytest.raises(BundleError, match=r"model\.onnx is not what the manifest says"):
        open_bundle(copy).predictor()
