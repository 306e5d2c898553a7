"""Engine options: each engine takes its own, and what is wrong is said by name."""

from __future__ import annotations

import pytest

from fairlead.bundle.engine_options import parse_options, with_options
from fairlead.errors import BadInputError
from fairlead.schema.bundle import OnnxEngine, PythonEngine

PYTHON = PythonEngine(runtime="callable", entry="scoring:predict")


def test_each_engine_takes_its_own() -> None:
    options = parse_options(["arena=false", "graph_optimization=basic", "workers=3", "memory_mb=512"])
    assert with_options(OnnxEngine(), options) == OnnxEngine(arena=False, graph_optimization="basic")
    assert with_options(PYTHON, options) == PYTHON.model_copy(update={"workers": 3, "memory_mb": 512})


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["arena"], "has no value"),
        (["treads=2"], "no engine option 'treads'"),
        (["intra_op_threads=0"], "intra_op_threads"),
        (["graph_optimization=fast"], "graph_optimization"),
    ],
)
def test_what_is_wrong_is_named(words: list[str], named: str) -> None:
    with pytest.raises(BadInputError, match=named):
        with_options(OnnxEngine(), parse_options(words))
