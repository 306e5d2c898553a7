"""Evidence about a rate ratio over epochs: a martingale at the margin, whatever the schedule, and mergeable."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.log_space import log_incomplete_beta
from fairlead.rollout.evidence.ramp import Epoch, RatioTest, Side, event_share, merge, ratio_interval

if TYPE_CHECKING:
    from tests.unit.rollout.evidence.conftest import Judge

SHARES = (0.05, 0.25, 0.5)
EPOCHS = st.dictionaries(
    st.sampled_from(["eu/1", "eu/2", "us/1"]),
    st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda xs: (xs[0], xs[0] + xs[1])),
)


def counted(part: dict[str, tuple[int, int]]) -> dict[str, Epoch]:
    shares = {"eu/1": 0.05, "eu/2": 0.5, "us/1": 0.1}
    return {key: Epoch(shares[key], *counts) for key, counts in part.items()}


def mean_e(test: RatioTest, ratio: float) -> float:
    """Summed over all outcomes of 14 events at a share of 5 % and 11 at one half."""
    sizes = np.array([14, 11])
    x = np.stack(np.meshgrid(np.arange(15), np.arange(12), indexing="ij"), axis=-1).reshape(-1, 2)
    theta = np.array([event_share(share, ratio) for share in (0.05, 0.5)])
    chance = stats.binom.pmf(x, sizes, theta).prod(axis=1)
    return float(chance @ np.exp(test.log_e([0.05, 0.5], x, np.broadcast_to(sizes, x.shape))))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("margin", [0.8, 1.0, 1.25, 3.0])
def test_evidence_has_mean_one_at_the_margin(side: Side, margin: float) -> None:
    assert mean_e(RatioTest(side, margin), margin) == pytest.approx(1, abs=1e-9)


def test_evidence_has_mean_below_one_on_the_whole_null_and_above_it_beyond() -> None:
    harm, safe = RatioTest(Side.HARM, 1.25), RatioTest(Side.SAFE, 1.25)
    for ratio in (0.1, 0.5, 1.0, 1.2):
        assert mean_e(harm, ratio) < 1 < mean_e(safe, ratio)
    for ratio in (1.3, 2.0, 5.0):
        assert mean_e(safe, ratio) < 1 < mean_e(harm, ratio)


@pytest.mark.parametrize(("side", "margin"), [(Side.HARM, 1.0), (Side.SAFE, 1.25), (Side.SAFE, 2.0)])
def test_at_equal_shares_it_is_the_truncated_beta_mixture(side: Side, margin: float) -> None:
    edge = margin / (1 + margin)
    for n, x in [(4, 0), (10, 7), (100, 55), (1_000, 520), (10_000, 5_100)]:
        up, down = (5.0 + x, 5.0 + n - x)
        if side is Side.HARM:
            exact = log_incomplete_beta(down, up, 1 - edge) - log_incomplete_beta(5.0, 5.0, 1 - edge)
        else:
            exact = log_incomplete_beta(up, down, edge) - log_incomplete_beta(5.0, 5.0, edge)
        exact = exact - x * np.log(edge) - (n - x) * np.log1p(-edge)
        assert RatioTest(side, margin).log_e([0.5], [x], [n]) == pytest.approx(float(exact), abs=0.02, rel=2e-3)


@given(EPOCHS, EPOCHS, EPOCHS)
def test_replicas_merge_in_any_order(a: dict, b: dict, c: dict) -> None:  # type: ignore[type-arg]
    one, two, three = counted(a), counted(b), counted(c)
    merged = merge(one, two, three)
    assert merged == merge(three, merge(two, one)) == merge(merge(one), merge(two, three))
    assert sum(epoch.events for epoch in merged.values()) == sum(n for part in (a, b, c) for _, n in part.values())


@given(EPOCHS, EPOCHS)
def test_evidence_does_not_depend_on_batches(a: dict, b: dict) -> None:  # type: ignore[type-arg]
    test = RatioTest(Side.HARM, 1.0)
    pieces = [*counted(a).values(), *counted(b).values()]
    merged = merge(counted(a), counted(b))
    assert test.log_e_of(pieces) == pytest.approx(test.log_e_of(merged.values()), abs=1e-9)
    assert test.log_e_of(reversed(pieces)) == pytest.approx(test.log_e_of(pieces), abs=1e-9)


@given(st.integers(1, 2_000), st.sampled_from(SHARES), st.floats(0.5, 3))
def test_evidence_for_harm_grows_and_for_safety_falls_with_the_challengers_events(
    events: int, share: float, margin: float
) -> None:
    x = np.arange(0, events + 1)[:, None]
    n = np.full_like(x, events)
    assert (np.diff(RatioTest(Side.HARM, margin).log_e([share], x, n)) > 0).all()
    assert (np.diff(RatioTest(Side.SAFE, margin).log_e([share], x, n)) < 0).all()


def test_a_larger_margin_makes_harm_harder_to_show_and_safety_easier() -> None:
    epochs = [Epoch(0.25, 40, 120)]
    margins = [1.0, 1.25, 1.5, 2.0, 4.0]
    harm = [RatioTest(Side.HARM, margin).log_e_of(epochs) for margin in margins]
    safe = [RatioTest(Side.SAFE, margin).log_e_of(epochs) for margin in margins]
    assert all(a > b for a, b in pairwise(harm))
    assert all(a < b for a, b in pairwise(safe))


@pytest.mark.parametrize(("side", "margin"), [(Side.HARM, 1.0), (Side.SAFE, 1.5), (Side.EITHER, 1.0)])
@pytest.mark.parametrize("concentration", [1.0, 5.0, 40.0])
def test_no_alarm_too_many_over_a_ramp_that_reacts_to_the_evidence(
    side: Side, margin: float, concentration: float, keeps_level: Judge
) -> None:
    """The weight goes up where the challenger looks good so far, and down again where it does not."""
    rng, runs = np.random.default_rng(6), 1_000
    test = RatioTest(side, margin, concentration)
    x, n = np.zeros((runs, 3)), np.zeros((runs, 3))
    crossed = np.zeros(runs, dtype=np.bool_)
    everyone, theta = np.arange(runs), np.array([event_share(share, margin) for share in SHARES])
    for _ in range(300):
        expected = (n * theta).sum(axis=1)
        step = np.where(x.sum(axis=1) > expected + 1, 0, np.where(n.sum(axis=1) < 50, 1, 2))
        hits = rng.random(runs) < theta[step]
        x[everyone, step] += hits
        n[everyone, step] += 1
        crossed |= test.log_e(SHARES, x, n) >= np.log(20)
    keeps_level(crossed, 0.05)


def test_counts_of_years_stay_finite() -> None:
    test = RatioTest(Side.HARM, 1.0)
    value = test.log_e([0.05, 0.5], [[50_000_000, 500_000_000]], [[1_000_000_000, 1_000_000_000]])
    assert np.isfinite(value).all()
    assert test.log_e([0.5], [10**9], [10**9]) > 1e8


def test_nothing_counted_is_no_evidence() -> None:
    assert RatioTest(Side.HARM, 1.0).log_e_of([]) == 0
    assert RatioTest(Side.SAFE, 2.0).log_e_of([Epoch(0.5, 0, 0)]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("scale", [1, 100, 1_000_000])
def test_the_interval_ends_where_the_evidence_reaches_the_level(scale: int) -> None:
    epochs = [Epoch(0.25, 40 * scale, 120 * scale), Epoch(0.5, 30 * scale, 50 * scale)]
    interval = ratio_interval(epochs, 0.05)
    assert 1.5 in interval
    for end in (interval.low, interval.high):
        assert RatioTest(Side.EITHER, end).log_e_of(epochs) == pytest.approx(np.log(20), abs=1e-3)


def test_an_interval_without_events_excludes_nothing() -> None:
    interval = ratio_interval([], 0.05)
    assert (interval.low, interval.high) == pytest.approx((1e-3, 1e3))


def test_bad_counts_are_refused_by_name() -> None:
    with pytest.raises(BadInputError, match=r"challenger: expected from 0 to events \(3\), got 4"):
        Epoch(0.5, 4, 3)
    with pytest.raises(BadInputError, match="share: expected shares strictly between 0 and 1"):
        Epoch(1.0, 1, 3)
    with pytest.raises(BadInputError, match=r"share of epoch 'eu/1': expected 0\.05, got 0\.1"):
        merge({"eu/1": Epoch(0.05, 0, 1)}, {"eu/1": Epoch(0.1, 0, 1)})
    with pytest.raises(BadInputError, match="challenger: expected at most `events`"):
        RatioTest(Side.HARM, 1.0).log_e([0.5], [3], [2])
    with pytest.raises(BadInputError, match="margin"):
        RatioTest(Side.HARM, 0.0)
