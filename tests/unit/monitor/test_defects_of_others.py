"""What is known to go wrong elsewhere, each as a promise of ours; where a convention has it, it is shown to have it.

Evidence for each: issues and measurements on Evidently 0.7, NannyML 0.13 and whylogs 1.6.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairlead.monitor import distances
from fairlead.monitor.bins import counts_between, reference_edges
from fairlead.monitor.comparison import compare
from fairlead.monitor.distances import shares
from fairlead.monitor.question import Question
from fairlead.monitor.shift import Caution, effect_of, verdict_of
from fairlead.schema.comparison import ColumnComparison, Convention, Severity, Verdict
from tests.unit.monitor.tables import column, frame, kinds, measures

EVIDENTLY = Question(Convention.EVIDENTLY)


def compared(reference: object, current: object, question: Question = Question()) -> ColumnComparison:  # noqa: B008
    return column(compare(frame({"x": reference}), frame({"x": current}), question))


def test_the_reference_of_a_chi_square_is_a_sample_too() -> None:
    """Taken as exact, 32 % of unchanged columns of 1,000 rows alarm, and 82 % with 5,000 current rows."""
    rng = np.random.default_rng(1)
    theirs = ours = two_sample = 0
    runs = 300
    for _ in range(runs):
        known, seen = rng.multinomial(1_000, [0.2] * 5), rng.multinomial(5_000, [0.2] * 5)
        theirs += distances.chi_square_of_fit(known, seen).statistic > 9.488  # 5 %, 4 degrees of freedom
        two_sample += distances.chi_square(known, seen).statistic > 9.488
        effect = effect_of(known, seen, Caution(0.05))
        ours += effect is not None and verdict_of(effect, Caution(0.05)) is Verdict.DRIFTED
    assert theirs > 0.7 * runs
    assert two_sample < 0.09 * runs
    assert ours == 0  # the tolerance: nothing that small is drift


def test_more_reference_rows_make_it_surer() -> None:
    """Evidently's own test pins that doubling the reference changes nothing."""
    known, seen = np.array([300, 300, 400]), np.array([330, 310, 360])
    once, twice = (effect_of(known * times, seen, Caution(0.05)) for times in (1, 2))
    assert once is not None
    assert twice is not None
    assert twice.high - twice.low < once.high - once.low
    fit = distances.chi_square_of_fit
    assert fit(known, seen).statistic == pytest.approx(fit(known * 2, seen).statistic)


def test_one_unseen_category_in_a_thousand_rows_is_not_drift() -> None:
    """An expected count of 0 makes p = 0."""
    known = ["a"] * 600 + ["b"] * 400
    seen = ["a"] * 599 + ["b"] * 400 + ["new"]
    assert measures(compared(known, seen, EVIDENTLY))["chi_square_fit_p_value"] == 0.0
    one = compared(known, seen)
    assert one.verdict is Verdict.STABLE
    assert kinds(one) == []
    many = compared(known, seen[:900] + ["new"] * 100)
    assert (many.verdict, kinds(many)) == (Verdict.DRIFTED, ["unseen_categories"])


def test_one_outlier_does_not_hide_a_shift() -> None:
    """Bins over both tables: a single 1e6 takes PSI from .9 to .02."""
    rng = np.random.default_rng(2)
    known, seen = rng.normal(size=10_000), rng.normal(1, 1, size=10_000)
    wild = np.append(seen[:-1], 1e6)
    theirs = [measures(compared(known, one, EVIDENTLY))["psi"] for one in (seen, wild)]
    assert theirs[0] == pytest.approx(0.9, abs=0.1)
    assert theirs[1] is not None
    assert theirs[1] < 0.05
    calm, shaken = compared(known, seen), compared(known, wild)
    for name in ("psi", "js_distance", "total_variation", "hellinger", "ks", "wasserstein_robust"):
        first, second = measures(calm)[name], measures(shaken)[name]
        assert first is not None
        assert second == pytest.approx(first, rel=0.01), name
    assert shaken.severity is Severity.LARGE


def test_one_outlier_is_not_a_shift() -> None:
    """Wasserstein by standard deviation: a single 1e6 in 10,000 unchanged rows gives 99, threshold .1."""
    rng = np.random.default_rng(3)
    known, seen = rng.normal(size=10_000), np.append(rng.normal(size=9_999), 1e6)
    theirs = compared(known, seen, EVIDENTLY)
    assert theirs.verdict is Verdict.DRIFTED
    assert measures(theirs)["wasserstein_sd"] == pytest.approx(99, abs=3)
    ours = compared(known, seen)
    assert (ours.verdict, ours.severity) == (Verdict.STABLE, Severity.NONE)
    robust = measures(ours)["wasserstein_robust"]
    assert robust is not None
    assert robust < 0.05


def test_a_shift_down_weighs_as_much_as_one_up() -> None:
    """Mann-Whitney with the alternative "less" gives p = 1 for half a standard deviation down."""
    known = np.random.default_rng(4).normal(size=2_000)
    up, down = compared(known, known + 0.5).effect, compared(-known, -known - 0.5).effect
    assert up is not None
    assert down is not None
    assert up.size == pytest.approx(down.size, rel=0.1)
    assert min(up.low, down.low) > 0.3


@pytest.mark.parametrize("rows", [50, 700, 3_000])
@pytest.mark.parametrize("convention", Convention)
def test_tables_need_not_be_of_one_size(rows: int, convention: Convention) -> None:
    """The G-test raises for unequal sizes."""
    rng = np.random.default_rng(5)
    known, seen = rng.choice(list("abc"), 900), rng.choice(list("abc"), rows)
    assert compared(known, seen, Question(convention)).verdict is not Verdict.NOT_MEASURED


@pytest.mark.parametrize(("n", "m"), [(200, 2_000), (500, 500), (2_000, 100)])
def test_small_tables_do_not_always_drift(n: int, m: int) -> None:
    """A null that resamples the reference only always alarms; PSI > .1 does in 41 % at 100 rows."""
    rng = np.random.default_rng(6)
    found = []
    for _ in range(200):
        known, seen = np.sort(rng.normal(size=n)), np.sort(rng.normal(size=m))
        edges = reference_edges(known)
        effect = effect_of(counts_between(known, edges), counts_between(seen, edges), Caution(0.05), ordered=True)
        assert effect is not None
        found.append(verdict_of(effect, Caution(0.05)))
    assert found.count(Verdict.DRIFTED) <= 0.05 * 200


def test_many_columns_do_not_make_a_false_alarm_likely() -> None:
    """No multiplicity control: with a test at 5 % each, a hundred unchanged columns always alarm."""
    rng = np.random.default_rng(7)
    question = Question(tolerance=0.0)  # with a tolerance there is nothing left to see
    alarms = 0
    for _ in range(30):
        known, seen = ({f"c{at}": rng.normal(size=400) for at in range(25)} for _ in range(2))
        alarms += compare(frame(known), frame(seen), question).verdict is Verdict.DRIFTED
    assert alarms <= 5  # 1.5 are expected at 5 %; 22 with a test at 5 % for each column


def test_large_unchanged_tables_are_stable() -> None:
    """A p-value that forgets a sketch's error alarms for 21 of 30 pairs of a million rows each."""
    rng = np.random.default_rng(8)
    known, seen = ({f"c{at}": rng.normal(size=200_000) for at in range(5)} for _ in range(2))
    found = compare(frame(known), frame(seen))
    assert [one.verdict for one in found.columns] == [Verdict.STABLE] * 5


def test_a_negligible_shift_of_a_large_table_is_not_drift() -> None:
    """ "With large enough batches pretty much everything becomes" significant."""
    rng = np.random.default_rng(9)
    known, seen = rng.normal(size=300_000), rng.normal(0.05, 1, size=300_000)
    assert distances.chi_square(*_deciles(known, seen)).statistic > 100  # beyond any doubt
    assert compared(known, seen).verdict is Verdict.STABLE


@pytest.mark.parametrize(
    ("shift", "decile_psi", "js_base_e", "hellinger", "wasserstein", "ks"),
    [
        (0.1, 0.0109, 0.0371, 0.0371, 0.105, 0.043),
        (0.316, 0.0971, 0.1111, 0.1114, 0.318, 0.127),
        (0.5, 0.2420, 0.1739, 0.1752, 0.504, 0.200),
        (1.0, 0.9354, 0.3316, 0.3404, 1.003, 0.385),
    ],
)
def test_one_table_translates_the_thresholds(
    shift: float, decile_psi: float, js_base_e: float, hellinger: float, wasserstein: float, ks: float
) -> None:
    """The same nominal .1 means a shift of .1 for Wasserstein and of .3 for PSI, Jensen-Shannon and Hellinger."""
    rng = np.random.default_rng(10)
    known, seen = rng.normal(size=200_000), rng.normal(shift, 1, size=200_000)
    theirs, ours = measures(compared(known, seen, EVIDENTLY)), compared(known, seen)
    p, q = _deciles(known, seen)
    assert distances.psi(shares(p), shares(q)) == pytest.approx(decile_psi, abs=0.012, rel=0.04)
    assert theirs["js_distance_base_e"] == pytest.approx(js_base_e, abs=0.012, rel=0.04)
    assert theirs["hellinger"] == pytest.approx(hellinger, abs=0.012, rel=0.04)
    assert theirs["wasserstein_sd"] == pytest.approx(wasserstein, abs=0.012, rel=0.04)
    assert measures(ours)["ks"] == pytest.approx(ks, abs=0.012, rel=0.04)
    assert ours.effect is not None
    assert ours.effect.size == pytest.approx(shift, abs=0.01, rel=0.05)


def test_jensen_shannon_is_within_0_and_1() -> None:
    """In nats its distance ends at .8326."""
    apart = ["a"] * 2_000, ["b"] * 2_000
    assert measures(compared(*apart))["js_distance"] == pytest.approx(1.0)
    assert measures(compared(*apart, EVIDENTLY))["js_distance_base_e"] == pytest.approx(math.sqrt(math.log(2)))


def test_the_number_of_bins_is_heeded() -> None:
    """`n_bins` is ignored elsewhere, and PSI cannot be tuned."""
    values = np.sort(np.random.default_rng(11).normal(size=1_000))
    assert [len(reference_edges(values, bins)) + 1 for bins in (5, 10, 50)] == [5, 10, 50]


def test_one_batch_gets_one_answer_and_its_order_does_not_matter() -> None:
    """Chunks tie an estimate to the reference's; three standard deviations of ten chunks are no false-alarm rate."""
    rng = np.random.default_rng(12)
    known, seen = rng.normal(size=3_000), rng.normal(0.2, 1, size=777)
    once, shuffled = compared(known, seen), compared(np.sort(known), np.sort(seen)[::-1])
    assert once == shuffled


def _deciles(known: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    edges = np.quantile(known, np.arange(1, 10) / 10)
    return counts_between(np.sort(known), edges), counts_between(np.sort(seen), edges)


def test_psi_has_the_mean_under_no_shift_that_theory_gives_it() -> None:
    """(1/n + 1/m)(B - 1): the reason why a fixed threshold cannot serve all sizes."""
    rng = np.random.default_rng(13)
    found = []
    for _ in range(200):
        known, seen = rng.multinomial(10_000, [0.1] * 10), rng.multinomial(200, [0.1] * 10)
        if min(seen) > 0:
            found.append(distances.psi(shares(known), shares(seen)))
    assert math.isclose(float(np.mean(found)), (1 / 10_000 + 1 / 200) * 9, rel_tol=0.15)
