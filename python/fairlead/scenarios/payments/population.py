"""Who pays and where: cities, cards, merchants and each card's favourite merchants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.scenarios.payments.catalogue import BASE_SHARE, CATEGORIES, ONLINE_SHARE
from fairlead.scenarios.payments.config import PaymentsScenario, Purpose

REGION_KM = 100.0
CITIES = 8
MEAN_RATE = 0.4
"""Ordinary payments of a card a day, on average."""
OLDEST_KNOWN_DAYS = 400
"""A merchant's age is not told beyond this."""
POPUP_SHARE = 0.06
POPUP_POPULARITY = 4.0


@dataclass(frozen=True, slots=True)
class Cards:
    """One row per card."""

    home: NDArray[np.float64]
    """(n, 2) kilometres."""
    rate: NDArray[np.float64]
    """Ordinary payments a day."""
    eagerness: NDArray[np.float64]
    """Pull of the event, independent of `rate`: cards that are quiet otherwise wake up."""
    spending: NDArray[np.float64]
    """Factor on every ticket."""
    online_leaning: NDArray[np.float64]
    clock_offset: NDArray[np.float64]
    """Hours."""
    taste: NDArray[np.float64]
    """(n, categories)."""


@dataclass(frozen=True, slots=True)
class Merchants:
    """One row per merchant."""

    place: NDArray[np.float64]
    """(n, 2) kilometres."""
    category: NDArray[np.int64]
    popularity: NDArray[np.float64]
    price: NDArray[np.float64]
    online: NDArray[np.bool_]
    foreign: NDArray[np.bool_]
    """Seen by the bank only where the merchant sells online."""
    opened_day: NDArray[np.int64]
    popup: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Population:
    """Everybody."""

    cards: Cards
    merchants: Merchants


def draw_population(scenario: PaymentsScenario) -> Population:
    """Draw the cards and merchants of the scenario."""
    # The same cities for homes and shops: they come first from the cards' generator.
    rng = scenario.generator(Purpose.CARDS)
    cities = rng.uniform(0.0, REGION_KM, (CITIES, 2))
    cards = _draw_cards(rng, scenario.cards, cities)
    return Population(cards, _draw_merchants(scenario, cities))


def _places(rng: np.random.Generator, count: int, cities: NDArray[np.float64]) -> NDArray[np.float64]:
    weight = 1.0 / np.arange(1, CITIES + 1)
    city = rng.choice(CITIES, size=count, p=weight / weight.sum())
    near = cities[city] + rng.normal(0.0, 4.0, (count, 2))
    anywhere = rng.uniform(0.0, REGION_KM, (count, 2))
    places: NDArray[np.float64] = np.where(rng.random((count, 1)) < 0.7, near, anywhere)
    return places


def _draw_cards(rng: np.random.Generator, count: int, cities: NDArray[np.float64]) -> Cards:
    shape = 0.7
    return Cards(
        home=_places(rng, count, cities),
        rate=rng.gamma(shape, MEAN_RATE / shape, count),
        eagerness=rng.exponential(1.0, count),
        spending=rng.lognormal(0.0, 0.45, count),
        online_leaning=rng.normal(0.0, 0.8, count),
        clock_offset=rng.normal(0.0, 1.3, count),
        taste=rng.gamma(3.0, 1.0 / 3.0, (count, len(CATEGORIES))),
    )


def _draw_merchants(scenario: PaymentsScenario, cities: NDArray[np.float64]) -> Merchants:
    rng, count = scenario.generator(Purpose.MERCHANTS), scenario.merchants
    category = rng.permutation(_category_of_each(count))
    popularity = rng.pareto(1.1, count) + 0.05
    opened = np.full(count, -OLDEST_KNOWN_DAYS, dtype=np.int64)
    young = rng.random(count) < 0.25
    opened[young] = rng.integers(-OLDEST_KNOWN_DAYS, scenario.days, int(young.sum()))
    popup = np.zeros(count, dtype=np.bool_)
    lead = rng.integers(1, 15, count)
    lots = rng.random(count)
    if scenario.black_friday_day is not None:
        popup = lots < POPUP_SHARE
        opened[popup] = scenario.black_friday_day - lead[popup]
        popularity[popup] *= POPUP_POPULARITY
    return Merchants(
        place=_places(rng, count, cities),
        category=category,
        popularity=popularity,
        price=rng.lognormal(0.0, 0.3, count),
        online=rng.random(count) < ONLINE_SHARE[category],
        foreign=rng.random(count) < 0.12,
        opened_day=opened,
        popup=popup,
    )


def _category_of_each(count: int) -> NDArray[np.int64]:
    """Half of the merchants spread evenly over the categories, half by share: small categories have shops to choose."""
    share = 0.5 / len(CATEGORIES) + 0.5 * BASE_SHARE / BASE_SHARE.sum()
    edges = np.round(np.cumsum(share) / share.sum() * count).astype(np.int64)
    return np.searchsorted(edges, np.arange(count), side="right").astype(np.int64)
