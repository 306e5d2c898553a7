"""Bets: nobody gains by them on traffic that is tolerated, whoever it is who chooses it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from fairlead.monitor.sequential.bets import Terms, bets_on, limits_needed
from fairlead.monitor.sequential.streams import Stream, stream
from tests.unit.monitor.sequential.examples import CATEGORY_SHARES, category, number, number_shares

TERMS = Terms(0.1, 1e-6, 1e-6)


@pytest.mark.parametrize("tolerance", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("made", [number(), category()], ids=["number", "category"])
def test_no_tolerated_distribution_gains_by_any_bet(made: Stream, tolerance: float) -> None:
    bets = bets_on(made, Terms(tolerance, 1e-6, 1e-6))
    share = made.reference[0] / made.reference.sum()
    bounds = [(s / (1 + tolerance), min(s * (1 + tolerance), 1)) for s in share]
    factor = np.exp(bets.log_factor[0])
    for j, bet in enumerate(bets.bets):
        worst = optimize.linprog(-factor[:, j], A_eq=[np.ones(len(share))], b_eq=[1], bounds=bounds)
        assert -worst.fun <= 1 + 1e-9, bet
        # ... and the limits of an all but exact reference cost next to nothing.
        assert -worst.fun >= 0.98 or bet.cell is not None, bet


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_a_reference_by_chance_gives_nothing_to_gain_either(seed: int) -> None:
    """With limits at 1e-6, 30 references break none of them."""
    rng = np.random.default_rng(seed)
    true = number_shares()
    for rows in (50, 1_000, 30_000):
        made = stream("x", number().cells, rng.multinomial(rows, true), ordered=10)
        assert (true @ np.exp(bets_on(made, Terms(0.0, 1e-6, 1e-6)).log_factor[0])).max(initial=0) <= 1 + 1e-12


def test_the_stakes_of_a_stream_are_one_half_of_them_on_shapes() -> None:
    bets = bets_on(number(), TERMS)
    weight = np.exp(bets.log_weight)
    assert weight.sum() == pytest.approx(1)
    assert weight[[bet.cell is None for bet in bets.bets]].sum() == pytest.approx(0.5)
    assert np.exp(bets_on(category(), TERMS).log_weight).sum() == pytest.approx(1)


def test_each_change_is_what_some_bet_gains_from() -> None:
    changes = {
        "moved": number_shares(0.3),
        "spread": number_shares(0, 1.5),
        "more": number_shares(missing=0.03),
        "fewer": number_shares(missing=0.0001),
    }
    bets = bets_on(number(), TERMS)
    for kind, share in changes.items():
        gain = share @ bets.log_factor[0]
        assert max(g for g, bet in zip(gain, bets.bets, strict=True) if bet.kind == kind) > 1e-4, kind


def test_categories_that_were_never_seen_are_bet_on() -> None:
    share = CATEGORY_SHARES * 0.98 + 0.02 * np.eye(7)[6]
    assert (share @ bets_on(category(rows=10_000), TERMS).log_factor[0]).max() > 0.01


def test_more_tolerance_and_less_reference_mean_smaller_bets() -> None:
    drifted = number_shares(0.5)

    def best(rows: int, tolerance: float) -> float:
        return float((drifted @ bets_on(number(rows=rows), Terms(tolerance, 1e-6, 1e-6)).log_factor[0]).max())

    assert best(10**12, 0) > best(10**5, 0) > best(10**4, 0) > best(10**3, 0)
    assert best(10**6, 0) > best(10**6, 0.1) > best(10**6, 0.3)


def test_a_season_without_a_reference_is_not_bet_on() -> None:
    made = stream("x", ("a", "b"), [[500, 500], [0, 0]])
    bets = bets_on(made, TERMS)
    assert (bets.log_factor[0] != 0).any()
    assert (bets.log_factor[1] == 0).all()


def test_a_reference_of_one_row_leaves_nothing_to_gain() -> None:
    bets = bets_on(stream("x", ("a", "b"), [1, 0]), TERMS)
    assert 0 <= bets.log_factor.max() < 1e-6


def test_shapes_take_three_ordered_cells() -> None:
    two = stream("x", ("low", "high", "missing"), [500, 490, 10], ordered=2)
    assert all(bet.cell is not None for bet in bets_on(two, TERMS).bets)
    assert limits_needed(two) == (6, 0)
    assert limits_needed(number()) == (24, 120)
