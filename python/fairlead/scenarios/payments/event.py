"""The Black-Friday regime: more payments, from quieter cards, that look less like the training set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fairlead.scenarios.payments.arrivals import draw_arrivals
from fairlead.scenarios.payments.behaviour import Behaviour, purchases
from fairlead.scenarios.payments.catalogue import EVENT_TICKET, EVENT_WEIGHT
from fairlead.scenarios.payments.choice import Market
from fairlead.scenarios.payments.config import DAY_SECONDS, PaymentsScenario, Purpose
from fairlead.scenarios.payments.rows import Rows, concatenate

_BEFORE = {-4: 1.3, -3: 1.4, -2: 1.6, -1: 2.2}
_FROM_FRIDAY = (6.0, 3.0, 2.5, 5.0, 1.8, 1.5, 1.4)
_AFTERGLOW = dict.fromkeys(range(7, 22), 1.25)
VOLUME: dict[int, float] = _BEFORE | dict(enumerate(_FROM_FRIDAY)) | _AFTERGLOW
"""Volume factor by day relative to the Friday; 1 on every other day."""

SPREE_GAP_SECONDS = 900.0


def volume_factor(scenario: PaymentsScenario) -> NDArray[np.float64]:
    """Volume of each day against an ordinary one, shape (days,)."""
    factor = np.ones(scenario.days)
    if scenario.black_friday_day is not None:
        for offset, value in VOLUME.items():
            day = scenario.black_friday_day + offset
            if 0 <= day < scenario.days:
                factor[day] = value
    return factor


def event_behaviour(shift: float) -> Behaviour:
    """How people buy in the event."""
    return Behaviour(
        category_factor=EVENT_WEIGHT**shift,
        ticket_factor=EVENT_TICKET**shift,
        exploration=0.12 + 0.33 * shift,
        new_address=0.02 + 0.10 * shift,
        other_address=0.04 + 0.06 * shift,
        new_device=0.025 + 0.045 * shift,
        event_hours=shift,
    )


def event_payments(scenario: PaymentsScenario, market: Market) -> list[Rows]:
    """The payments that the event adds; none without an event."""
    if scenario.black_friday_day is None:
        return []
    rng = scenario.generator(Purpose.EVENT)
    cards = market.population.cards
    pull = 0.4 * cards.rate + 0.6 * cards.rate.mean() * cards.eagerness
    extra = (volume_factor(scenario) - 1.0) * scenario.weekday_factor()
    behaviour = event_behaviour(scenario.shift)
    first = purchases(rng, market, draw_arrivals(rng, pull, extra), behaviour)
    if not first:
        return []
    return [*first, *_sprees(rng, scenario, market, concatenate(first))]


def _sprees(rng: np.random.Generator, scenario: PaymentsScenario, market: Market, first: Rows) -> list[Rows]:
    """Further payments of some who have just bought, a quarter of an hour apart, wherever they get to."""
    starters = np.flatnonzero(rng.random(len(first)) < 0.2 * scenario.shift)
    length = rng.geometric(0.6, len(starters))
    starter = np.repeat(starters, length)
    gap = rng.exponential(SPREE_GAP_SECONDS, len(starter))
    elapsed = np.cumsum(gap)
    # The running sum starts anew with each spree.
    before = np.concatenate([[0.0], elapsed])[np.cumsum(length) - length]
    second = first.second[starter] + 1 + (elapsed - np.repeat(before, length)).astype(np.int64)
    within = second < scenario.seconds
    starter, second = starter[within], second[within]
    behaviour = replace(event_behaviour(scenario.shift), anywhere=True)
    further = purchases(rng, market, (first.card[starter], second // DAY_SECONDS), behaviour)
    if not further:
        return []
    rows = concatenate(further)
    return [replace(rows, second=second)]
