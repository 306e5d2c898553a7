"""A bundle's model in this process, answering as the data plane would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairlead.bundle.layout import CODE_FOLDER
from fairlead.bundle.parity import decided, scores
from fairlead.bundle.runtime import Runner, load_runner
from fairlead.bundle.runtime.code_space import CodeSpace
from fairlead.bundle.sample import Array, Column, first_line
from fairlead.bundle.tensors import Tensors, columns_from_records, conform, to_tensors
from fairlead.errors import BadInputError, BundleError, FairleadError
from fairlead.schema.bundle import Manifest
from fairlead.schema.signature import Scalar, Signature

CHUNK_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of one row; `score` and `decision` are None where the signature has no decision for it."""

    outputs: Mapping[str, object]
    score: float | None
    decision: Scalar | None


class Predictor:
    """A loaded model and its signature."""

    def __init__(self, runner: Runner, signature: Signature, code: CodeSpace | None = None) -> None:
        self._runner = runner
        self._code = code
        self.signature = signature

    @classmethod
    def load(cls, folder: Path, manifest: Manifest, signature: Signature, *, trust_pickle: bool) -> Predictor:
        """Load a bundle's model; raises `BundleError`."""
        code = CodeSpace(folder / CODE_FOLDER)
        try:
            with code.entered():
                runner = load_runner(folder, manifest, signature, trust_pickle=trust_pickle)
            return cls(runner, signature, code)
        except FairleadError:
            raise
        except Exception as error:  # loading runs the model's library, or the user's code
            raise BundleError(
                f"the model cannot be loaded: {type(error).__name__}: {first_line(error)}",
                hint="the versions it was made with are in environment.json",
            ) from error

    def infer(self, inputs: Mapping[str, Array]) -> Tensors:
        """Return the outputs for input tensors, checked against the signature.

        Raises `ValueError` where outputs do not fit it, and whatever the model raises.
        """
        rows = len(next(iter(inputs.values())))
        with self._code.entered() if self._code else nullcontext():
            outputs = self._runner.run(inputs)
        return conform(outputs, self.signature.outputs, rows)

    def settle(self) -> None:
        """Keep the bundle's own code importable for the rest of the process: for a process that runs one bundle."""
        if self._code:
            self._code.settle()

    def infer_columns(self, columns: Mapping[str, Column]) -> Tensors:
        """Return the outputs for named columns, a limited number of rows at a time."""
        return self.infer_chunks(to_tensors(self.signature, columns))

    def infer_chunks(self, inputs: Mapping[str, Array]) -> Tensors:
        """Return `infer` of any number of rows, a limited number at a time."""
        rows = len(next(iter(inputs.values())))
        parts = [
            self.infer({name: values[start : start + CHUNK_ROWS] for name, values in inputs.items()})
            for start in range(0, rows, CHUNK_ROWS)
        ]
        return {spec.name: np.concatenate([part[spec.name] for part in parts]) for spec in self.signature.outputs}

    def predict(self, records: Sequence[Mapping[str, Scalar | None]]) -> list[Answer]:
        """Return one answer per named record. A name that is not there, or None, is a missing value.

        Raises `BadInputError` for a record that does not fit; ranges and categories are not looked at.
        """
        if not self.signature.features:
            raise BadInputError("this model takes tensors, not named records")
        if not records:
            return []
        outputs = self.infer_columns(columns_from_records(self.signature, records))
        return [self._answer(outputs, row) for row in range(len(records))]

    def _answer(self, outputs: Tensors, row: int) -> Answer:
        named = {name: values[row].tolist() if values.ndim > 1 else values[row] for name, values in outputs.items()}
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in named.items()}
        decision = self.signature.decision
        if decision is None:
            return Answer(plain, None, None)
        one = {name: values[row : row + 1] for name, values in outputs.items()}
        score, label = scores(decision, one)[0], decided(decision, one)
        return Answer(
            plain,
            float(np.max(score)),
            None if label is None else decision.labels[int(label[0])],
        )
