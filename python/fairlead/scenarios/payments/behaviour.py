"""What a legitimate payment looks like, given who pays on which day."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fairlead.scenarios.payments.catalogue import (
    BASE_SHARE,
    CATEGORIES,
    MEDIAN_TICKET,
    ONLINE_SHARE,
    TICKET_SIGMA,
    Ship,
)
from fairlead.scenarios.payments.choice import Errands, Market, draw_column
from fairlead.scenarios.payments.config import DAY_SECONDS
from fairlead.scenarios.payments.rows import Rows, cents

CHUNK = 262_144
"""Purchases made at a time: bounds the memory of the (purchases, categories) arrays."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A day's rhythm: a mixture of normal peaks, wrapped around midnight."""

    peaks: tuple[float, ...]
    """Hours."""
    spreads: tuple[float, ...]
    """Hours, standard deviation of each peak."""
    shares: tuple[float, ...]

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Hours of the day, not yet wrapped."""
        peak = rng.choice(len(self.peaks), size=count, p=self.shares)
        return rng.normal(np.asarray(self.peaks)[peak], np.asarray(self.spreads)[peak])


POINT_OF_SALE = Clock((12.5, 18.0), (2.2, 1.8), (0.55, 0.45))
ONLINE = Clock((13.0, 20.7), (2.8, 2.3), (0.43, 0.57))
EVENT = Clock((0.67, 11.5, 20.67), (1.0, 2.0, 2.0), (0.25, 0.35, 0.4))


def _ones() -> NDArray[np.float64]:
    return np.ones(len(CATEGORIES))


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The probabilities that the event moves; the defaults are an ordinary day's."""

    category_factor: NDArray[np.float64] = field(default_factory=_ones)
    ticket_factor: NDArray[np.float64] = field(default_factory=_ones)
    exploration: float = 0.12
    """Probability of another merchant than a favourite."""
    anywhere: bool = False
    """Any merchant of any category will do."""
    new_address: float = 0.02
    other_address: float = 0.04
    new_device: float = 0.025
    event_hours: float = 0.0
    """Share of online purchases at the event's hours; shops keep their opening times."""


def purchases(
    rng: np.random.Generator, market: Market, who: tuple[NDArray[np.int64], NDArray[np.int64]], behaviour: Behaviour
) -> list[Rows]:
    """Legitimate payments of `who` = (card, day), in chunks."""
    card, day = who
    pieces = [slice(at, at + CHUNK) for at in range(0, len(card), CHUNK)]
    return [_purchases(rng, market, (card[piece], day[piece]), behaviour) for piece in pieces]


def _purchases(
    rng: np.random.Generator, market: Market, who: tuple[NDArray[np.int64], NDArray[np.int64]], behaviour: Behaviour
) -> Rows:
    card, day = who
    if behaviour.anywhere:
        merchant = market.wander(rng, day)
    else:
        category = draw_column(rng, _category_weight(market, card, behaviour))
        merchant = market.choose(rng, Errands(card, category, day), behaviour.exploration)
    online = market.population.merchants.online[merchant]
    return Rows(
        second=day * DAY_SECONDS + _second_of_day(rng, market, (card, online), behaviour.event_hours),
        card=card,
        merchant=merchant,
        cents=_tickets(rng, market, (card, merchant), behaviour),
        ship=_addresses(rng, online, behaviour),
        new_device=online & (rng.random(len(card)) < behaviour.new_device),
        scenario=np.zeros(len(card), dtype=np.int8),
    )


def _category_weight(market: Market, card: NDArray[np.int64], behaviour: Behaviour) -> NDArray[np.float64]:
    cards = market.population.cards
    lean = np.exp(cards.online_leaning[card, None] * (ONLINE_SHARE - 0.4))
    weight: NDArray[np.float64] = BASE_SHARE * behaviour.category_factor * cards.taste[card] * lean
    return weight


def _second_of_day(
    rng: np.random.Generator,
    market: Market,
    purchase: tuple[NDArray[np.int64], NDArray[np.bool_]],
    event_hours: float,
) -> NDArray[np.int64]:
    card, online = purchase
    hour = np.where(online, ONLINE.draw(rng, len(card)), POINT_OF_SALE.draw(rng, len(card)))
    hour = np.where(online & (rng.random(len(card)) < event_hours), EVENT.draw(rng, len(card)), hour)
    hour += 0.5 * market.population.cards.clock_offset[card]
    return (hour * 3_600.0).astype(np.int64) % DAY_SECONDS


def _tickets(
    rng: np.random.Generator,
    market: Market,
    purchase: tuple[NDArray[np.int64], NDArray[np.int64]],
    behaviour: Behaviour,
) -> NDArray[np.int64]:
    card, merchant = purchase
    cards, merchants = market.population.cards, market.population.merchants
    category = merchants.category[merchant]
    usual = MEDIAN_TICKET[category] * behaviour.ticket_factor[category]
    noise = rng.lognormal(0.0, 1.0, len(card)) ** TICKET_SIGMA[category]
    return cents(usual * cards.spending[card] * merchants.price[merchant] * noise)


def _addresses(rng: np.random.Generator, online: NDArray[np.bool_], behaviour: Behaviour) -> NDArray[np.int8]:
    lot = rng.random(len(online))
    ship = np.full(len(online), Ship.HOME, dtype=np.int8)
    ship[online & (lot < behaviour.new_address + behaviour.other_address)] = Ship.KNOWN_OTHER
    ship[online & (lot < behaviour.new_address)] = Ship.NEW
    return ship
