"""Python functions of a batch, as the Python engine runs them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fairlead.bundle.runtime.runner import PREDICTION, missing_cells
from fairlead.bundle.sample import Array
from fairlead.bundle.tensors import Tensors
from fairlead.schema.signature import Datatype, Signature

Function = Callable[[dict[str, Array]], Any]


def import_entry(entry: str) -> Any:
    """Import `module:attribute`.

    Raises what the import raises, and `AttributeError` where the module has no such attribute.
    """
    module_name, _, attribute = entry.partition(":")
    found: Any = importlib.import_module(module_name)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


class CallableRunner:
    """Calls `function(batch)` with one array per input; an array that comes back is named `prediction`."""

    def __init__(self, function: Function, signature: Signature) -> None:
        self._function = function
        self._signature = signature

    def run(self, inputs: Mapping[str, Array]) -> Tensors:
        """Return the function's outputs by name; raises what the function raises."""
        answer = self._function(self._batch(inputs))
        outputs = answer if isinstance(answer, Mapping) else {PREDICTION: answer}
        return {str(name): np.asarray(values) for name, values in outputs.items()}

    def _batch(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        batch = dict(inputs)
        datatypes = {t.name: t.datatype for t in self._signature.inputs}
        for feature in self._signature.features:
            if feature.nullable and datatypes[feature.tensor] is Datatype.BYTES:
                values = batch[feature.tensor].copy()
                values[missing_cells(self._signature, feature, values)] = None
                batch[feature.tensor] = values
        return batch
