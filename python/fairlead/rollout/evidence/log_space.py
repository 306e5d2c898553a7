"""Logarithms of special functions where the functions themselves underflow: evidence is multiplied over millions of
units.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from fairlead.rollout.evidence.arguments import Floats

_TINY = 1e-280
"""Below this a function's value has lost digits; its tail expansion, which converges at once out there, takes over."""
_TERMS = 400
_FLOOR = 1e-300


def log_beta(a: ArrayLike, b: ArrayLike) -> Floats:
    """The logarithm of B(a, b)."""
    return np.asarray(special.betaln(a, b), dtype=np.float64)


def log_incomplete_beta(a: ArrayLike, b: ArrayLike, x: float) -> Floats:
    """The logarithm of the *unregularised* incomplete beta function B(x; a, b), for 0 < x <= 1; broadcasts over a
    and b.
    """
    if x >= 1:
        return log_beta(a, b)
    a, b = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    value = np.asarray(special.betainc(a, b, x), dtype=np.float64)
    result = np.log(np.maximum(value, _FLOOR)) + log_beta(a, b)
    far = value < _TINY
    if far.any():
        result = np.where(far, _beta_tail(a, b, x), result)
    return np.asarray(result, dtype=np.float64)


def log_gamma_lower(a: ArrayLike, x: ArrayLike) -> Floats:
    """The logarithm of P(a, x), the regularised lower incomplete gamma function; broadcasts."""
    a, x = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(x, dtype=np.float64))
    value = np.asarray(special.gammainc(a, x), dtype=np.float64)
    result = np.log(np.maximum(value, _FLOOR))
    far = (value < _TINY) & (x > 0)
    if far.any():
        result = np.where(far, _gamma_tail(a, x), result)
    return np.asarray(result, dtype=np.float64)


def log_gamma_upper(a: ArrayLike, x: ArrayLike) -> Floats:
    """The logarithm of Q(a, x), the regularised upper incomplete gamma function; broadcasts."""
    a, x = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(x, dtype=np.float64))
    value = np.asarray(special.gammaincc(a, x), dtype=np.float64)
    result = np.log(np.maximum(value, _FLOOR))
    far = value < _TINY
    if far.any():
        # The leading term x^(a-1) e^-x / Gamma(a) of the asymptotic series, times 1 / (1 - (a - 1) / x).
        shrink = np.clip((a - 1) / np.maximum(x, _FLOOR), 0, 1 - 1e-12)
        tail = (a - 1) * np.log(np.maximum(x, _FLOOR)) - x - special.gammaln(a) - np.log1p(-shrink)
        result = np.where(far, tail, result)
    return np.asarray(result, dtype=np.float64)


def log_sum(terms: Floats) -> Floats:
    """The logarithm of the sum of e^terms over the last axis, of finite terms, which it overwrites."""
    largest = terms.max(axis=-1, keepdims=True)
    terms -= largest
    np.exp(terms, out=terms)
    return np.asarray(np.log(terms.sum(axis=-1)) + largest[..., 0], dtype=np.float64)


def _beta_tail(a: Floats, b: Floats, x: float) -> Floats:
    """B(x; a, b) = x^a (1-x)^b / a * (1 + sum of products of (a+b+k) / (a+1+k) x): DLMF 8.17.8."""
    term = np.ones_like(a)
    total = np.ones_like(a)
    for k in range(_TERMS):
        term = term * np.minimum((a + b + k) / (a + 1 + k) * x, 1.0)
        total = total + term
    return np.asarray(a * np.log(x) + b * np.log1p(-x) - np.log(a) + np.log(total), dtype=np.float64)


def _gamma_tail(a: Floats, x: Floats) -> Floats:
    """P(a, x) = x^a e^-x / Gamma(a+1) * (1 + x/(a+1) + x^2/((a+1)(a+2)) + ...): DLMF 8.7.1."""
    x = np.maximum(x, _FLOOR)
    term = np.ones_like(a)
    total = np.ones_like(a)
    for k in range(1, _TERMS):
        term = term * np.minimum(x / (a + k), 1.0)
        total = total + term
    return np.asarray(a * np.log(x) - x - special.gammaln(a + 1) + np.log(total), dtype=np.float64)
