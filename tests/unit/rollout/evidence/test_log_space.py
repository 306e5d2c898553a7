"""Special functions whose values underflow: their recurrences hold where there is nothing left to compare with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from fairlead.rollout.evidence.log_space import log_beta, log_gamma_lower, log_gamma_upper, log_incomplete_beta, log_sum


def test_moderate_values_are_scipys() -> None:
    a, b = np.array([0.5, 3.0, 40.0]), np.array([2.0, 0.7, 60.0])
    assert log_incomplete_beta(a, b, 0.3) == pytest.approx(np.log(special.betainc(a, b, 0.3)) + special.betaln(a, b))
    assert log_incomplete_beta(a, b, 1.0) == pytest.approx(log_beta(a, b))
    assert log_gamma_lower(a, b) == pytest.approx(np.log(special.gammainc(a, b)))
    assert log_gamma_upper(a, b) == pytest.approx(np.log(special.gammaincc(a, b)))


@pytest.mark.parametrize(("a", "b", "x"), [(5_000.0, 100.0, 0.5), (90_000.0, 10_000.0, 0.5), (3_000.0, 2.0, 0.01)])
def test_the_beta_function_keeps_its_recurrence_where_it_underflows(a: float, b: float, x: float) -> None:
    assert special.betainc(a, b, x) == 0
    whole = log_incomplete_beta(a, b, x)
    parts = np.logaddexp(log_incomplete_beta(a + 1, b, x), log_incomplete_beta(a, b + 1, x))
    assert np.isfinite(whole)
    assert parts == pytest.approx(float(whole), abs=1e-6)


def test_the_gamma_functions_keep_their_recurrences_where_they_underflow() -> None:
    a, x = 3_000.0, 100.0
    assert special.gammainc(a, x) == 0
    step = a * np.log(x) - x - special.gammaln(a + 1)
    assert np.logaddexp(log_gamma_lower(a + 1, x), step) == pytest.approx(float(log_gamma_lower(a, x)), abs=1e-6)
    a, x = 100.0, 3_000.0
    assert special.gammaincc(a, x) == 0
    step = a * np.log(x) - x - special.gammaln(a + 1)
    assert np.logaddexp(log_gamma_upper(a, x), step) == pytest.approx(float(log_gamma_upper(a + 1, x)), abs=1e-3)


def test_values_join_where_the_expansion_takes_over() -> None:
    a = np.arange(900.0, 1_100.0)
    value = log_incomplete_beta(a, 20.0, 0.5)
    assert (np.abs(np.diff(value, 2)) < 1e-2).all()


def test_a_sum_of_exponentials_neither_overflows_nor_underflows() -> None:
    terms = np.array([[1e6, 1e6 - 1, 0.0], [-1e6, -1e6, -2e6]])
    assert log_sum(terms.copy()) == pytest.approx(special.logsumexp(terms, axis=-1))
