"""NannyML's published example: CBPE and realised ROC AUC of the car loan data, chunks of 5,000 rows.

`car_loan.json` has its rows counted by score (two decimals in the data, so 101 of them), decision and label: from
`synthetic_car_loan_{reference,analysis,analysis_target}.csv` of the wheel nannyml 0.13.1 (Apache-2.0). The values are
those that NannyML gives for the rows.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fairlead.monitor.estimated import Scored, calibrated, estimated, realised, scored

ESTIMATED = [0.970744, 0.971011, 0.971407, 0.971091, 0.971123, 0.961090, 0.961825, 0.961073, 0.962533, 0.961316]
REALISED = [0.970962, 0.970248, 0.976282, 0.967721, 0.969886, 0.960050, 0.958530, 0.959041, 0.963094, 0.957556]
DATA = json.loads((Path(__file__).parent / "car_loan.json").read_text())


def table(found: dict[str, list[list[int]]]) -> Scored:
    return scored(np.array(found["rows"]).T, np.array(found["positives"]).T)


def test_cbpe_and_realised_roc_auc_are_nannymls() -> None:
    probability = calibrated(table(DATA["reference"]))
    chunks = [table(chunk) for chunk in DATA["chunks"]]
    assert [chunk.rows.sum() for chunk in chunks] == [5_000] * 10
    # As in production: labels are left out.
    assert [estimated(Scored(c.rows), probability).roc_auc for c in chunks] == pytest.approx(ESTIMATED, abs=5e-7)
    assert [realised(c).roc_auc for c in chunks] == pytest.approx(REALISED, abs=5e-7)


def test_chunks_of_any_length_are_sums() -> None:
    chunks = [table(chunk) for chunk in DATA["chunks"]]
    half = sum(chunks[1:5], chunks[0])
    assert half.rows.sum() == 25_000
    assert estimated(half, calibrated(table(DATA["reference"]))).roc_auc == pytest.approx(
        np.mean(ESTIMATED[:5]), abs=1e-3
    )
