"""How many payments each day brings, and from which cards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlead.scenarios.payments.behaviour import Behaviour, purchases
from fairlead.scenarios.payments.choice import Market
from fairlead.scenarios.payments.config import PaymentsScenario, Purpose
from fairlead.scenarios.payments.rows import Rows


def ordinary_payments(scenario: PaymentsScenario, market: Market) -> list[Rows]:
    """The payments of ordinary life: Poisson for each card and day."""
    rng = scenario.generator(Purpose.ORDINARY)
    who = draw_arrivals(rng, market.population.cards.rate, scenario.weekday_factor())
    return purchases(rng, market, who, Behaviour())


def draw_arrivals(
    rng: np.random.Generator, rate: NDArray[np.float64], day_factor: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(card, day) of independent Poisson arrivals with mean `rate[card] * day_factor[day]`.

    Drawn as one Poisson number a day and its cards in proportion to their rates, which is the same in law and
    needs no (cards, days) array.
    """
    cumulative = np.cumsum(rate)
    count = rng.poisson(cumulative[-1] * day_factor)
    day = np.repeat(np.arange(len(day_factor)), count)
    card = np.searchsorted(cumulative, rng.random(len(day)) * cumulative[-1], side="right")
    return np.minimum(card, len(rate) - 1).astype(np.int64), day.astype(np.int64)
