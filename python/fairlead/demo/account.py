"""The accounts: what was answered, how fast, how right, and whether the log has all of it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.demo.driver import LegResult
from fairlead.demo.material import Material
from fairlead.demo.prototype import Prototype
from fairlead.errors import EndpointError
from fairlead.store import PredictionLog

OK = 200
LOG_SECONDS = 15.0
"""How long buffered rows may take to reach the log."""


@dataclass(frozen=True, slots=True)
class Speed:
    """One phase, seen from the client. Latencies in milliseconds."""

    phase: str
    answers: int
    refused: int
    """Answers other than 200."""
    seconds: float
    per_second: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Decisions:
    """What the endpoint decided of one stretch of traffic, against the truth; rows counted once each."""

    stretch: str
    decided: int
    declined: int
    """Decided positive."""
    declined_positive: int
    """Of these, truly positive."""
    positives: int
    negatives: int

    @property
    def false_share(self) -> float | None:
        """Share of the negatives that were declined."""
        return (self.declined - self.declined_positive) / self.negatives if self.negatives else None

    @property
    def recall(self) -> float | None:
        """Share of the positives that were declined."""
        return self.declined_positive / self.positives if self.positives else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Every live answer against the notebook's own score for that row.

    The endpoint takes 32-bit numbers. A 64-bit value may cross a split of a tree when it is rounded, which no
    conversion can help: so both are told, and only the first is a promise.
    """

    answers: int
    largest_difference_float32: float
    """Against the notebook's scores of the rows as the endpoint received them."""
    largest_difference: float
    """Against its scores of the rows as they were."""
    rows: int
    """Different rows among the answers."""
    rows_apart: int
    """Of these, rows that rounding moved by more than the tolerance of the pack."""
    changed_decisions: int
    """Answers whose decision is not the notebook's for the row as it was."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Answers, read."""

    ids: set[str]
    duplicates: int
    """Ids given out twice: there must be none."""
    decisions: list[Decisions]
    refusals: dict[str, int]
    """Error code -> answers."""
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Judge:
    """What the answers are held against."""

    prototype: Prototype
    positive: object
    """The decision that declines."""
    tolerance: float
    """How far a served score may be from the model's own."""


@dataclass(frozen=True, slots=True)
class LogCheck:
    """The log against the answers, id by id."""

    rows: int
    missing: int
    """Ids that a client received and the log does not have."""
    extra: int
    """Ids in the log that no client received."""
    decisions: dict[str, int]
    """Decision -> rows, as SQL over the log counts them."""

    @property
    def complete(self) -> bool:
        """Whether the log is exactly what was answered."""
        return self.missing == 0 and self.extra == 0


def speed_of(result: LegResult) -> Speed:
    """Figures of one phase."""
    latency = np.array([answer.latency_us for answer in result.answers if answer.status == OK]) / 1_000.0
    p50, p95, p99 = np.percentile(latency, [50, 95, 99]).tolist() if len(latency) else [float("nan")] * 3
    count = len(result.answers)
    return Speed(
        phase=result.leg.name,
        answers=count,
        refused=count - len(latency),
        seconds=result.seconds,
        per_second=len(latency) / result.seconds if result.seconds > 0 else 0.0,
        p50=p50,
        p95=p95,
        p99=p99,
    )


def read_answers(results: Sequence[LegResult], material: Material, judge: Judge) -> Reading:
    """Read every answer's body. Raises `EndpointError` where a body with status 200 is not an answer."""
    ids: set[str] = set()
    duplicates = 0
    refusals: Counter[str] = Counter()
    declined: dict[str, dict[int, bool]] = {stretch.name: {} for stretch in material.live}
    served: list[tuple[int, float, bool]] = []
    for result in results:
        for answer in result.answers:
            if answer.status != OK:
                refusals[_code(answer.body, answer.status)] += 1
                continue
            identity, decision, score = _prediction(answer.body)
            duplicates += identity in ids
            ids.add(identity)
            declined[result.leg.stretch][answer.row] = decision == judge.positive
            served.append((answer.row, score, decision == judge.positive))
    counted = [_decisions(name, rows, material.labels) for name, rows in declined.items()]
    return Reading(ids, duplicates, counted, dict(refusals), _agreement(served, material, judge))


def _prediction(body: str) -> tuple[str, object, float]:
    try:
        (prediction,) = json.loads(body)["predictions"]
        return str(prediction["prediction_id"]), prediction["decision"], float(prediction["score"])
    except (ValueError, KeyError, TypeError) as error:
        raise EndpointError(f"not an answer to one record: {body[:200]!r}", status=OK, code="bad_answer") from error


def _agreement(served: list[tuple[int, float, bool]], material: Material, judge: Judge) -> Agreement:
    if not served:
        return Agreement(0, 0.0, 0.0, 0, 0, 0)
    row, score, declined = (np.array(part) for part in zip(*served, strict=True))
    rows, place = np.unique(row, return_inverse=True)
    frame = material.features.iloc[rows]
    raw, rounded = judge.prototype.score(frame), judge.prototype.score(as_received(frame))
    return Agreement(
        answers=len(served),
        largest_difference_float32=float(np.abs(score - rounded[place]).max()),
        largest_difference=float(np.abs(score - raw[place]).max()),
        rows=len(rows),
        rows_apart=int((np.abs(raw - rounded) > judge.tolerance).sum()),
        changed_decisions=int((declined != (raw[place] >= judge.prototype.threshold)).sum()),
    )


def as_received(frame: Any) -> Any:
    """The frame with its numbers rounded to 32 bits, as the endpoint receives them."""
    numbers = [name for name in frame.columns if frame[name].dtype.kind in "iuf"]
    return frame.astype(dict.fromkeys(numbers, np.float32))


def _code(body: str, status: int) -> str:
    try:
        return str(json.loads(body)["code"])
    except (ValueError, KeyError, TypeError):
        return f"status {status}"


def _decisions(stretch: str, declined: dict[int, bool], labels: NDArray[np.int8]) -> Decisions:
    rows = np.fromiter(declined, dtype=np.int64, count=len(declined))
    verdict = np.fromiter(declined.values(), dtype=np.bool_, count=len(declined))
    positive = labels[rows] == 1
    return Decisions(
        stretch=stretch,
        decided=len(rows),
        declined=int(verdict.sum()),
        declined_positive=int((verdict & positive).sum()),
        positives=int(positive.sum()),
        negatives=int((~positive).sum()),
    )


def check_log(directory: Path, ids: set[str]) -> LogCheck:
    """Compare the log with the ids that clients received, waiting until buffered rows have arrived."""
    log = PredictionLog(directory)
    deadline = time.monotonic() + LOG_SECONDS
    logged = _logged_ids(log)
    while len(logged) < len(ids) and time.monotonic() < deadline:
        time.sleep(0.2)
        logged = _logged_ids(log)
    known = set(logged)
    counts = _column_pairs(log, "SELECT decision, count(*) FROM predictions GROUP BY 1 ORDER BY 1")
    return LogCheck(len(logged), len(ids - known), len(known - ids), counts)


def _logged_ids(log: PredictionLog) -> list[str]:
    with log.query("SELECT CAST(id AS VARCHAR) FROM predictions") as result:
        return [identity for batch in result.batches for identity in batch.column(0).to_pylist()]


def _column_pairs(log: PredictionLog, sql: str) -> dict[str, int]:
    with log.query(sql) as result:
        pairs: Iterable[tuple[object, int]] = [
            pair for batch in result.batches for pair in zip(*(c.to_pylist() for c in batch.columns), strict=True)
        ]
        return {str(name): int(count) for name, count in pairs}
