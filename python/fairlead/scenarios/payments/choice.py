"""How a purchase finds its category and its merchant."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fairlead.scenarios.payments.catalogue import CATEGORIES
from fairlead.scenarios.payments.config import PaymentsScenario, Purpose
from fairlead.scenarios.payments.population import Merchants, Population

CANDIDATES = 4
DISTANCE_SCALE_KM = 8.0
FAVOURITE_SHARES = np.array([0.6, 0.9, 1.0])
"""Cumulative shares of a card's three favourites within a category."""


@dataclass(frozen=True, slots=True)
class Errands:
    """Purchases that know their category and not yet their merchant; arrays of one length."""

    card: NDArray[np.int64]
    category: NDArray[np.int64]
    day: NDArray[np.int64]

    def where(self, mask: NDArray[np.bool_]) -> Errands:
        """The errands that `mask` selects."""
        return Errands(self.card[mask], self.category[mask], self.day[mask])


@dataclass(frozen=True, slots=True)
class WeightedShelf:
    """Merchants to draw from within a category, in proportion to a weight."""

    merchant: NDArray[np.int64]
    """Ordered by category."""
    edge: NDArray[np.float64]
    """Cumulative weight: category c fills (c, c + 1]."""
    first: NDArray[np.int64]
    """(categories + 1,) bounds of each category in `merchant`."""

    @classmethod
    def of(cls, merchants: Merchants, weights: NDArray[np.float64]) -> Self:
        """A shelf of the merchants whose weight is not 0."""
        chosen = np.flatnonzero(weights)
        merchant = chosen[np.argsort(merchants.category[chosen], kind="stable")].astype(np.int64)
        first = np.searchsorted(merchants.category[merchant], np.arange(len(CATEGORIES) + 1)).astype(np.int64)
        edge = np.empty(len(merchant))
        for code, (low, high) in enumerate(pairwise(first)):
            if low < high:
                weight = np.cumsum(weights[merchant[low:high]])
                edge[low:high] = code + weight / weight[-1]
        return cls(merchant, edge, first)

    def has(self) -> NDArray[np.bool_]:
        """Which categories have a merchant at all, shape (categories,)."""
        return np.diff(self.first) > 0

    def draw(self, rng: np.random.Generator, category: NDArray[np.int64]) -> NDArray[np.int64]:
        """A merchant for each entry of `category`, which must all be on the shelf."""
        place = np.searchsorted(self.edge, category + rng.random(category.shape), side="right")
        # category + u may round up to the next category's first edge.
        return self.merchant[np.minimum(place, self.first[category + 1] - 1)]


@dataclass(frozen=True, slots=True)
class _Candidates:
    """(errands, 4) merchants to choose from."""

    merchant: NDArray[np.int64]
    online: NDArray[np.bool_]
    weight: NDArray[np.float64]
    """0 for a merchant that is closed on the day."""

    def pick(self, rng: np.random.Generator, weight: NDArray[np.float64]) -> NDArray[np.int64]:
        """One for each errand in proportion to `weight`; the last where all weights are 0."""
        return self.merchant[np.arange(len(self.merchant)), draw_column(rng, weight)]


@dataclass(frozen=True, slots=True)
class Market:
    """The merchants as the cards see them."""

    population: Population
    everything: WeightedShelf
    established: WeightedShelf
    """Open since before the first day."""
    favourites: NDArray[np.int32]
    """(cards, categories, 3) merchants."""

    @classmethod
    def of(cls, scenario: PaymentsScenario, population: Population) -> Self:
        """Lay out the shelves and draw every card's favourites."""
        merchants = population.merchants
        everything = WeightedShelf.of(merchants, merchants.popularity)
        established = WeightedShelf.of(merchants, merchants.popularity * (merchants.opened_day < 0))
        rng = scenario.generator(Purpose.FAVOURITES)
        cards, kinds, places = len(population.cards.rate), len(CATEGORIES), len(FAVOURITE_SHARES)
        card = np.repeat(np.arange(cards), kinds * places)
        category = np.tile(np.repeat(np.arange(kinds), places), cards)
        day = np.full(len(card), -1, dtype=np.int64)
        candidates = _explore(population, rng, established, Errands(card, category, day))
        # Habits are as often online as the shops are: the first candidate's channel is the favourite's.
        same_channel = candidates.online == candidates.online[:, :1]
        drawn = candidates.pick(rng, candidates.weight * same_channel)
        favourites = drawn.reshape(cards, kinds, places).astype(np.int32)
        return cls(population, everything, established, favourites)

    def choose(self, rng: np.random.Generator, errands: Errands, exploration: float) -> NDArray[np.int64]:
        """A merchant open on the day for each errand: a favourite, or with probability `exploration` another."""
        favourite = np.searchsorted(FAVOURITE_SHARES, rng.random(len(errands.card)), side="right")
        merchant = self.favourites[errands.card, errands.category, favourite].astype(np.int64)
        away = rng.random(len(errands.card)) < exploration
        strolls = errands.where(away)
        candidates = _explore(self.population, rng, self.everything, strolls)
        found = candidates.pick(rng, candidates.weight)
        closed = self.population.merchants.opened_day[found] > strolls.day
        found[closed] = self.established.draw(rng, strolls.category[closed])
        merchant[away] = found
        return merchant

    def wander(self, rng: np.random.Generator, day: NDArray[np.int64]) -> NDArray[np.int64]:
        """Any merchant at all for each purchase, whatever its category, popularity and distance; open on `day`."""
        opened = self.population.merchants.opened_day
        merchant = rng.integers(0, len(opened), len(day))
        closed = opened[merchant] > day
        merchant[closed] = rng.choice(self.established.merchant, int(closed.sum()))
        return merchant


def draw_column(rng: np.random.Generator, weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """One column for each row of `weight`, shape (n, columns), in proportion to it; the last where all are 0."""
    cumulative = np.cumsum(weight, axis=1)
    target = rng.random((len(weight), 1)) * cumulative[:, -1:]
    drawn: NDArray[np.int64] = np.minimum((cumulative <= target).sum(axis=1), weight.shape[1] - 1)
    return drawn


def distance_km(population: Population, card: NDArray[np.int64], merchant: NDArray[np.int64]) -> NDArray[np.float64]:
    """From the card's home to the merchant."""
    gap = population.cards.home[card] - population.merchants.place[merchant]
    return np.hypot(gap[..., 0], gap[..., 1])


def _explore(population: Population, rng: np.random.Generator, shelf: WeightedShelf, errands: Errands) -> _Candidates:
    """Four candidates by popularity, weighted: nearer points of sale are preferred, and the closed are out."""
    merchants = population.merchants
    merchant = shelf.draw(rng, np.repeat(errands.category[:, None], CANDIDATES, axis=1))
    online = merchants.online[merchant]
    far = distance_km(population, errands.card[:, None], merchant)
    weight = np.where(online, 1.0, np.exp(-far / DISTANCE_SCALE_KM) + 1e-9)
    weight *= merchants.opened_day[merchant] <= errands.day[:, None]
    return _Candidates(merchant, online, weight)
