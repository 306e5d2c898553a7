"""Places that are no bundle storage are refused when the control plane starts, not when somebody pushes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.errors import BadInputError
from fairlead.store.objects import open_storage


def test_a_file_is_no_storage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="file is not a folder"):
        open_storage(tmp_path / "file")


@pytest.mark.parametrize("url", ["s3://", "s3:///prefix"])
def test_a_bucket_has_a_name(url: str) -> None:
    with pytest.raises(BadInputError, match="names no bucket"):
        open_storage(url)


def test_a_folder_need_not_be_there_yet(tmp_path: Path) -> None:
    assert open_storage(tmp_path / "later").shared
