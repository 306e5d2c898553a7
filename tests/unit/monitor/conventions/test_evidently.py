"""The numbers and choices of Evidently, by SciPy on the same cells and by its own published test values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from fairlead.monitor.comparison import compare
from fairlead.monitor.question import Question
from fairlead.schema.comparison import ColumnComparison, Convention, Verdict
from tests.unit.monitor.tables import column, frame, measures


def judged(reference: object, current: object) -> ColumnComparison:
    return column(compare(frame({"x": reference}), frame({"x": current}), Question(Convention.EVIDENTLY)))


def test_numbers_are_those_of_numpy_and_scipy_on_sturges_bins() -> None:
    rng = np.random.default_rng(1)
    known, seen = rng.normal(size=4_000), rng.normal(0.3, 1.3, size=3_000)
    edges = np.histogram_bin_edges(np.concatenate([known, seen]), "sturges")
    p, q = (np.histogram(one, edges)[0] / len(one) for one in (known, seen))
    found = measures(judged(known, seen))
    assert found["wasserstein_sd"] == pytest.approx(stats.wasserstein_distance(known, seen) / np.std(known))
    assert found["js_distance_base_e"] == pytest.approx(jensenshannon(p, q))
    full = [np.where(one == 0, 1e-4 if one[one > 0].min() > 1e-4 else one[one > 0].min() / 1e6, one) for one in (p, q)]
    assert found["psi"] == pytest.approx(np.sum((full[0] - full[1]) * np.log(full[0] / full[1])))
    assert found["kullback_leibler"] == pytest.approx(stats.entropy(full[0], full[1]))
    assert found["ks"] == pytest.approx(stats.ks_2samp(known, seen).statistic)


def test_hellinger_of_its_own_test_data() -> None:
    """`tests/stattests/test_stattests.py`: .06812 for these counts."""
    labels = list("abcdef")
    known, seen = np.repeat(labels, [16, 18, 16, 14, 12, 12]), np.repeat(labels, [16, 16, 16, 16, 16, 8])
    assert measures(judged(known, seen))["hellinger"] == pytest.approx(0.06812, abs=1e-5)


def test_doubling_the_reference_leaves_its_p_value() -> None:
    """Its own test: .67309 for these counts, whatever the size of the reference."""
    labels = list("abcdef")
    seen = np.repeat(labels, [16, 16, 16, 16, 16, 8])
    for times in (1, 2):
        known = np.repeat(labels, np.array([16, 18, 16, 14, 12, 12]) * times)
        assert measures(judged(known, seen))["chi_square_fit_p_value"] == pytest.approx(0.67309, abs=1e-5)


@pytest.mark.parametrize(
    ("rows", "values", "measure", "threshold", "side"),
    [
        (1_000, 6, "ks_p_value", 0.05, "below"),
        (1_000, 5, "chi_square_fit_p_value", 0.05, "below"),
        (1_000, 2, "z_p_value", 0.05, "below"),
        (1_001, 6, "wasserstein_sd", 0.1, "above"),
        (1_001, 5, "js_distance_base_e", 0.1, "above"),
    ],
)
def test_rows_and_distinct_values_choose_the_measure(
    rows: int, values: int, measure: str, threshold: float, side: str
) -> None:
    known = np.arange(rows) % values
    found = judged(known, known[::-1])
    assert [found.measures[0].name, found.measures[0].threshold, found.measures[0].drift_is] == [
        measure,
        threshold,
        side,
    ]
    assert found.verdict is Verdict.STABLE


@pytest.mark.parametrize(
    ("rows", "labels", "measure"), [(900, "abc", "chi_square_fit_p_value"), (900, "ab", "z_p_value")]
)
def test_labels_have_a_test_of_their_own(rows: int, labels: str, measure: str) -> None:
    found = judged(list(labels) * (rows // len(labels)), list(labels) * 10)
    assert found.measures[0].name == measure


def test_p_values_are_those_of_scipy() -> None:
    rng = np.random.default_rng(2)
    known, seen = rng.normal(size=500), rng.normal(0.2, 1, size=400)
    assert judged(known, seen).measures[0].value == pytest.approx(stats.ks_2samp(known, seen).pvalue)
    ones, twos = rng.random(600) < 0.3, rng.random(500) < 0.4
    table = [[ones.sum(), (~ones).sum()], [twos.sum(), (~twos).sum()]]
    expected = stats.chi2_contingency(table, correction=False).pvalue  # the square of z
    assert judged(ones, twos).measures[0].value == pytest.approx(expected)


def test_a_p_value_below_its_threshold_is_drift() -> None:
    rng = np.random.default_rng(3)
    assert judged(rng.normal(size=500), rng.normal(1, 1, size=400)).verdict is Verdict.DRIFTED
