"""P-values, where somebody else's convention asks for them. Needs scipy, which is imported when one is asked for."""

from __future__ import annotations

import math
from statistics import NormalDist

from fairlead.errors import BadInputError
from fairlead.monitor.distances import ChiSquare, Floats


def _scipy() -> None:
    try:
        import scipy.special  # noqa: F401 - only whether it is there
    except ImportError:
        hint = "pip install 'fairlead[control]', or take `--convention fairlead`, which needs none"
        raise BadInputError("p-values of this convention need scipy, which is not installed", hint=hint) from None


def of_chi_square(found: ChiSquare) -> float:
    """Chance of a chi-square at least as large."""
    _scipy()
    from scipy import special

    return float(special.chdtrc(found.freedom, found.statistic)) if found.freedom else 1.0


def of_ks(reference: Floats, current: Floats) -> float:
    """Chance of a Kolmogorov-Smirnov statistic at least as large: exact up to 10,000 rows, as scipy chooses."""
    _scipy()
    from scipy import stats

    return float(stats.ks_2samp(reference, current).pvalue)


def of_shares(first: float, second: float, sizes: tuple[float, float]) -> float:
    """Two-sided z-test of two shares with their pooled variance."""
    n, m = sizes
    both = (first * n + second * m) / (n + m)
    error = math.sqrt(both * (1 - both) * (1 / n + 1 / m))
    return 1.0 if not error else 2.0 * NormalDist().cdf(-abs(first - second) / error)
