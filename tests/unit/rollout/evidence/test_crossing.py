"""Exact stopping times: they agree with the evidence itself and with simulation."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.errors import BadInputError
from fairlead.rollout.evidence.crossing import boundary, events_until, stopped_by
from fairlead.rollout.evidence.ramp import RatioTest, Side, event_share


@pytest.mark.parametrize(("side", "margin"), [(Side.HARM, 1.0), (Side.SAFE, 1.5)])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_boundary_is_where_evidence_becomes_enough(side: Side, margin: float, share: float) -> None:
    test = RatioTest(side, margin)
    limits = boundary(test, share, 0.05, 150)
    for n in (1, 10, 40, 150):
        enough = test.log_e([share], np.arange(n + 1)[:, None], np.full((n + 1, 1), n)) >= np.log(20)
        stops = np.arange(n + 1) >= limits[n] if side is Side.HARM else np.arange(n + 1) <= limits[n]
        assert (enough == stops).all()


@pytest.mark.parametrize(
    ("side", "margin", "ratio"), [(Side.HARM, 1.0, 2.0), (Side.HARM, 1.0, 1.0), (Side.SAFE, 2.0, 1.0)]
)
def test_the_probability_of_having_stopped_is_that_of_simulated_rollouts(
    side: Side, margin: float, ratio: float
) -> None:
    test = RatioTest(side, margin)
    limits = boundary(test, 0.3, 0.05, 200)
    exact = stopped_by(test, 0.3, ratio, limits)
    x = np.cumsum(np.random.default_rng(21).random((20_000, 200)) < event_share(0.3, ratio), axis=1)
    beyond = x >= limits[1:] if side is Side.HARM else x <= limits[1:]
    simulated = np.maximum.accumulate(beyond, axis=1).mean(axis=0)
    assert exact[1:] == pytest.approx(simulated, abs=0.012)
    assert (np.diff(exact) >= 0).all()


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_wrong_decisions_stay_below_the_level_for_thousands_of_events(alpha: float, share: float) -> None:
    for test in (RatioTest(Side.HARM, 1.0), RatioTest(Side.SAFE, 1.25)):
        wrong = stopped_by(test, share, test.margin, boundary(test, share, alpha, 4_000))[-1]
        assert alpha / 3 < wrong <= alpha


def test_events_until_a_probability_that_is_never_reached_are_none() -> None:
    stopped = np.array([0.0, 0.2, 0.5, 0.6])
    assert events_until(stopped, 0.5) == 2
    assert events_until(stopped, 0.7) is None


def test_only_one_side_has_a_boundary() -> None:
    with pytest.raises(BadInputError, match="side: expected harm or safe"):
        boundary(RatioTest(Side.EITHER, 1.0), 0.5, 0.05, 10)
