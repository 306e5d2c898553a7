"""LightGBM files on which the library would end the process are refused before it sees them."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np
import pytest

from fairlead.bundle.sources import load_source
from fairlead.errors import BadInputError


def trained() -> str:
    values = np.random.default_rng(1).random((200, 2))
    data = lightgbm.Dataset(values, values[:, 0] > 0.5)
    text: str = lightgbm.train({"objective": "binary", "verbose": -1}, data, 5).model_to_string()
    return text


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_model_that_was_cut_off_is_said_to_be(tmp_path: Path, share: float) -> None:
    text = trained()
    (tmp_path / "cut.txt").write_text(text[: int(share * text.index("end of trees"))])
    with pytest.raises(BadInputError, match=r"cut\.txt is not a LightGBM model: it ends before the last of the trees"):
        load_source(tmp_path / "cut.txt", trust_pickle=False)


def test_what_comes_after_the_trees_may_be_missing(tmp_path: Path) -> None:
    text = trained()
    (tmp_path / "whole.txt").write_text(text[: text.index("end of trees")])
    assert load_source(tmp_path / "whole.txt", trust_pickle=False).facts.width == 2


def test_sizes_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.txt").write_text(trained().replace("tree_sizes=", "tree_sizes=many "))
    with pytest.raises(BadInputError, match=r"odd\.txt is not a LightGBM model: .*many"):
        load_source(tmp_path / "odd.txt", trust_pickle=False)
