"""The knobs of the payments scenario."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import BadInputError

DAY_SECONDS = 86_400
REFERENCE_CARDS = 12_000
"""The number of cards that the fraud rates are given for; they scale with `cards`."""


class Purpose(IntEnum):
    """Each part of the world draws from its own generator, so that a change in one leaves the others as they were."""

    CARDS = 1
    MERCHANTS = 2
    FAVOURITES = 3
    ORDINARY = 4
    EVENT = 5
    SKIMMING = 6
    LEAKS = 7
    TAKEOVERS = 8
    TESTING = 9
    LABELS = 10


@dataclass(frozen=True, slots=True)
class PaymentsScenario:
    """A world of cards and merchants. Equal scenarios give equal streams, bit by bit.

    Raises `BadInputError` for a value that makes no world.
    """

    seed: int = 1
    start: date = date(2024, 9, 9)
    """Midnight of this day is second 0 (a Monday by default)."""
    days: int = 98
    cards: int = 20_000
    merchants: int = 4_000
    black_friday_day: int | None = 81
    """Day (from 0) of the event's peak; None: an ordinary season. By default the Friday of 29 November 2024."""
    shift: float = 0.6
    """How far behaviour in the event departs from the ordinary: 0 changes only the volume, 1 everything."""

    def __post_init__(self) -> None:
        """Refuse what makes no world."""
        for name, value, least in (
            ("seed", self.seed, 0),
            ("days", self.days, 1),
            ("cards", self.cards, 100),
            ("merchants", self.merchants, 200),
        ):
            if value < least:
                raise BadInputError(f"payments scenario: {name} must be at least {least}, got {value}")
        if not 0.0 <= self.shift <= 1.0:
            raise BadInputError(f"payments scenario: shift must lie in [0, 1], got {self.shift}")
        if self.black_friday_day is not None and not 0 <= self.black_friday_day < self.days:
            raise BadInputError(
                f"payments scenario: black_friday_day {self.black_friday_day} lies outside the {self.days} days",
                hint="raise days, or pass None for a season without the event",
            )

    @property
    def seconds(self) -> int:
        """Length of the stream."""
        return self.days * DAY_SECONDS

    def generator(self, purpose: Purpose) -> np.random.Generator:
        """The generator of one part of the world."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(int(purpose),)))

    def weekday_factor(self) -> NDArray[np.float64]:
        """Relative volume of each day that comes from the day of the week, shape (days,)."""
        factors = np.array([0.90, 0.90, 0.95, 1.0, 1.15, 1.20, 0.90])
        return factors[(self.start.weekday() + np.arange(self.days)) % 7]
