"""The numbers of NannyML, by SciPy on the same cells and by its own published test values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from fairlead.monitor.comparison import compare
from fairlead.monitor.conventions.nannyml import threshold_of
from fairlead.monitor.question import Question
from fairlead.schema.comparison import ColumnComparison, Convention, Verdict
from tests.unit.monitor.tables import column, frame, measures


def judged(reference: object, current: object) -> ColumnComparison:
    return column(compare(frame({"x": reference}), frame({"x": current}), Question(Convention.NANNYML)))


def test_jensen_shannon_of_its_own_test_data() -> None:
    """`tests/drift/test_univariate_drift_methods.py`: .50 with a new category."""
    random = np.random.RandomState(1)
    known, seen = random.choice(["a", "b", "c", "d"], 10_000), random.choice(["a", "b", "c", "e"], 1_000)
    assert measures(judged(known, seen))["js_distance"] == pytest.approx(0.50, abs=0.005)


def test_what_lies_outside_the_references_bins_is_one_more_cell() -> None:
    rng = np.random.default_rng(1)
    known, seen = rng.normal(size=2_000), rng.normal(1, 2, size=1_500)
    edges = np.histogram_bin_edges(known, "doane")
    p, q = (np.histogram(one, edges)[0] / len(one) for one in (known, seen))
    p, q = np.append(p, 0), np.append(q, 1 - q.sum())
    found = measures(judged(known, seen))
    assert found["js_distance"] == pytest.approx(jensenshannon(p, q, base=2))
    assert found["hellinger"] == pytest.approx(np.sqrt(np.square(np.sqrt(p) - np.sqrt(q)).sum() / 2))


@pytest.mark.parametrize(("rows", "exact"), [(9_999, True), (10_000, False)])
def test_ks_and_wasserstein_are_exact_for_small_references_and_near_for_others(rows: int, exact: bool) -> None:
    rng = np.random.default_rng(2)
    known, seen = rng.normal(size=rows), rng.normal(0.5, 1.5, size=3_000)
    found = measures(judged(known, seen))
    ks, wasserstein = stats.ks_2samp(known, seen).statistic, stats.wasserstein_distance(known, seen)
    assert bool(found["wasserstein"] == pytest.approx(wasserstein, rel=1e-9)) is exact
    assert found["ks"] == pytest.approx(ks, abs=2e-3)
    assert found["wasserstein"] == pytest.approx(wasserstein, rel=0.01)


def test_the_threshold_is_mean_and_three_deviations_of_ten_parts_of_the_reference() -> None:
    rng = np.random.default_rng(3)
    known, seen = rng.normal(size=5_000), rng.normal(size=500)
    edges = np.histogram_bin_edges(known, "doane")
    p = np.histogram(known, edges)[0] / len(known)
    parts = [jensenshannon(p, np.histogram(one, edges)[0] / len(one), base=2) for one in np.split(known, 10)]
    found = judged(known, seen)
    assert found.measures[0].threshold == pytest.approx(np.mean(parts) + 3 * np.std(parts))
    assert found.verdict is Verdict.STABLE
    assert judged(known, seen + 1).verdict is Verdict.DRIFTED
    assert threshold_of([1.0, 3.0]) == pytest.approx(5.0)


def test_labels_have_l_infinity_and_chi_square() -> None:
    known, seen = ["a"] * 60 + ["b"] * 40, ["a"] * 30 + ["b"] * 60 + ["c"] * 10
    found = measures(judged(known, seen))
    assert found["largest_difference"] == pytest.approx(0.3)
    assert found["chi_square"] == pytest.approx(stats.chi2_contingency([[60, 40, 0], [30, 60, 10]]).statistic)
