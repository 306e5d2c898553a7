"""What thieves do. Intensity grows with the square root of the volume, so the fraud *rate* falls in the event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.scenarios.payments.behaviour import Clock
from fairlead.scenarios.payments.catalogue import CATEGORIES, LEAK_WEIGHT, MEDIAN_TICKET, FraudKind, Ship
from fairlead.scenarios.payments.choice import Market, WeightedShelf, draw_column
from fairlead.scenarios.payments.config import DAY_SECONDS, REFERENCE_CARDS, PaymentsScenario, Purpose
from fairlead.scenarios.payments.event import volume_factor
from fairlead.scenarios.payments.rows import Rows

THIEVES = Clock((2.5, 22.0), (2.7, 3.0), (0.6, 0.4))
THIEVES_AT_ANY_HOUR = 0.3
SKIM_EVERY_DAYS = 3
SKIM_LASTS_DAYS = 28
SKIM_SHARE = 0.25
LEAK_LASTS_DAYS = 14


@dataclass(frozen=True, slots=True)
class Underworld:
    """What every attack needs to know."""

    scenario: PaymentsScenario
    market: Market
    shops: WeightedShelf
    """Merchants that sell online, all alike: thieves do not follow fashion."""
    old_shops: WeightedShelf
    """Those open since before the first day."""
    intensity: NDArray[np.float64]
    """Square root of the volume factor, shape (days,)."""

    @property
    def scale(self) -> float:
        """Cards against the number that the rates are given for."""
        return self.scenario.cards / REFERENCE_CARDS


def underworld(scenario: PaymentsScenario, market: Market) -> Underworld:
    """Set the scene."""
    merchants = market.population.merchants
    online = merchants.online.astype(np.float64)
    shops = WeightedShelf.of(merchants, online)
    old_shops = WeightedShelf.of(merchants, online * (merchants.opened_day < 0))
    return Underworld(scenario, market, shops, old_shops, np.sqrt(volume_factor(scenario)))


def attacks(world: Underworld) -> list[Rows]:
    """The payments that exist only because of a thief."""
    return [_leaked_cards(world), _takeovers(world), _card_testing(world)]


def skim(world: Underworld, rows: Rows) -> Rows:
    """Mark payments at skimmed terminals: they look like their customers, only the terminal's history tells.

    One terminal is one till: the most popular tenth of the merchants (chains) is left out.
    """
    rng = world.scenario.generator(Purpose.SKIMMING)
    merchants = world.market.population.merchants
    small = merchants.popularity <= np.quantile(merchants.popularity, 0.9)
    tills = np.flatnonzero(~merchants.online & small & (merchants.opened_day < 0))
    by_merchant = np.argsort(rows.merchant, kind="stable")
    bounds = np.searchsorted(rows.merchant[by_merchant], np.arange(len(merchants.category) + 1))
    marked = []
    for start in range(0, world.scenario.days, SKIM_EVERY_DAYS):
        till = rng.choice(tills)
        at = by_merchant[bounds[till] : bounds[till + 1]]
        day = rows.second[at] // DAY_SECONDS
        hit = (day >= start) & (day < start + SKIM_LASTS_DAYS)
        hit &= rng.random(len(at)) < SKIM_SHARE / world.intensity[day]
        marked.append(at[hit])
    return rows.marked(np.concatenate(marked), FraudKind.SKIMMED_TERMINAL)


def _leaked_cards(world: Underworld) -> Rows:
    rng = world.scenario.generator(Purpose.LEAKS)
    start = np.repeat(np.arange(world.scenario.days), rng.poisson(1.6 * world.scale * world.intensity))
    uses = rng.poisson(8.0, len(start))
    card = np.repeat(rng.integers(0, world.scenario.cards, len(start)), uses)
    day = np.repeat(start, uses) + rng.integers(0, LEAK_LASTS_DAYS, len(card))
    category = _loot(rng, world, len(card))
    spree = rng.lognormal(0.0, 0.6, len(card)) * rng.uniform(1.2, 4.0, len(card))
    euro = MEDIAN_TICKET[category] * world.market.population.cards.spending[card] * spree
    rows = Rows(
        second=day * DAY_SECONDS + _night(rng, len(card)),
        card=card,
        merchant=_shop(rng, world, category, day),
        cents=_cents(euro),
        ship=np.where(rng.random(len(card)) < 0.45, Ship.NEW, Ship.HOME).astype(np.int8),
        new_device=rng.random(len(card)) < 0.55,
        scenario=np.full(len(card), FraudKind.LEAKED_CARD, dtype=np.int8),
    )
    return _within(world, rows)


def _takeovers(world: Underworld) -> Rows:
    rng = world.scenario.generator(Purpose.TAKEOVERS)
    day = np.repeat(np.arange(world.scenario.days), rng.poisson(0.7 * world.scale * world.intensity))
    count = 2 + rng.geometric(0.35, len(day))
    begin = day * DAY_SECONDS + _night(rng, len(day))
    card = np.repeat(rng.integers(0, world.scenario.cards, len(day)), count)
    first = np.zeros(len(card), dtype=np.bool_)
    first[np.cumsum(count) - count] = True
    elapsed = np.cumsum(np.where(first, 0.0, rng.exponential(500.0, len(card))))
    offset = elapsed - np.repeat(elapsed[first], count)
    category = _loot(rng, world, len(card))
    feeler, haul = rng.uniform(1.0, 5.0, len(card)), rng.uniform(1.5, 5.0, len(card))
    rows = Rows(
        second=np.repeat(begin, count) + offset.astype(np.int64),
        card=card,
        merchant=_shop(rng, world, category, np.repeat(day, count)),
        cents=_cents(np.where(first, feeler, MEDIAN_TICKET[category] * haul)),
        ship=np.where(rng.random(len(card)) < 0.6, Ship.NEW, Ship.KNOWN_OTHER).astype(np.int8),
        new_device=np.ones(len(card), dtype=np.bool_),
        scenario=np.full(len(card), FraudKind.ACCOUNT_TAKEOVER, dtype=np.int8),
    )
    return _within(world, rows)


def _card_testing(world: Underworld) -> Rows:
    rng = world.scenario.generator(Purpose.TESTING)
    raid = rng.random(world.scenario.days) < np.minimum(0.15 * world.intensity, 1.0)
    day = np.flatnonzero(raid)
    cards = np.maximum(np.rint(rng.integers(20, 81, len(day)) * world.scale), 1).astype(np.int64)
    begin = day * DAY_SECONDS + rng.integers(0, DAY_SECONDS, len(day))
    count = int(cards.sum())
    shops = world.old_shops.draw(rng, np.full(len(day), CATEGORIES.index("digital")))
    rows = Rows(
        second=np.repeat(begin, cards) + rng.integers(0, 900, count),
        card=rng.integers(0, world.scenario.cards, count),
        merchant=np.repeat(shops, cards),
        cents=rng.integers(50, 251, count),
        ship=np.full(count, Ship.HOME, dtype=np.int8),
        new_device=np.ones(count, dtype=np.bool_),
        scenario=np.full(count, FraudKind.CARD_TESTING, dtype=np.int8),
    )
    return _within(world, rows)


def _loot(rng: np.random.Generator, world: Underworld, count: int) -> NDArray[np.int64]:
    weight = np.where(world.old_shops.has(), LEAK_WEIGHT, 0.0)
    return draw_column(rng, np.broadcast_to(weight, (count, len(weight))))


def _shop(
    rng: np.random.Generator, world: Underworld, category: NDArray[np.int64], day: NDArray[np.int64]
) -> NDArray[np.int64]:
    """A shop open on `day`; the old ones stand in for those that are not."""
    shop = world.shops.draw(rng, category)
    closed = world.market.population.merchants.opened_day[shop] > day
    shop[closed] = world.old_shops.draw(rng, category[closed])
    return shop


def _night(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    hour = np.where(rng.random(count) < THIEVES_AT_ANY_HOUR, rng.uniform(0.0, 24.0, count), THIEVES.draw(rng, count))
    return (hour * 3_600.0).astype(np.int64) % DAY_SECONDS


def _cents(euro: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(euro * 100.0).astype(np.int64)


def _within(world: Underworld, rows: Rows) -> Rows:
    """Without what falls behind the stream's end."""
    return rows.take(rows.second < world.scenario.seconds)
