"""What can be bought and what can be stolen: the fixed tables of the scenario."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of shop. Weights are relative; a multiplier of the event is raised to the power of `shift`."""

    name: str
    median_ticket: float
    """Euro."""
    ticket_sigma: float
    """Of the ticket's logarithm."""
    base_share: float
    """Percent of ordinary payments, before taste."""
    online_share: float
    """Share of its shops that sell online."""
    leak_weight: float
    """How much those who use a stolen card number like it."""
    event_weight: float
    """How much more it is bought in the event."""
    event_ticket: float
    """How much dearer a ticket is in the event."""


_TABLE: Final = (
    Category("grocery", 32, 0.6, 26, 0.08, 1.5, 1.0, 1.1),
    Category("fuel", 45, 0.4, 8, 0.0, 0.0, 1.0, 1.1),
    Category("dining", 24, 0.55, 18, 0.10, 1.0, 1.0, 1.1),
    Category("health", 28, 0.6, 6, 0.20, 1.0, 1.0, 1.1),
    Category("home", 48, 0.8, 8, 0.35, 2.0, 1.6, 1.2),
    Category("fashion", 55, 0.6, 9, 0.55, 5.0, 3.0, 1.2),
    Category("electronics", 120, 0.8, 6, 0.60, 18.0, 4.0, 1.6),
    Category("toys", 35, 0.5, 3, 0.55, 2.0, 3.5, 1.2),
    Category("giftcard", 50, 0.5, 1.5, 0.70, 14.0, 3.0, 1.3),
    Category("travel", 180, 0.8, 3, 0.80, 6.0, 1.0, 1.1),
    Category("digital", 12, 0.6, 10, 1.0, 10.0, 1.2, 1.1),
    Category("luxury", 210, 0.7, 1.5, 0.50, 8.0, 2.2, 1.3),
)

CATEGORIES: Final[tuple[str, ...]] = tuple(c.name for c in _TABLE)
"""Names in code order: a category's integer code is its place here."""


def _column(name: str) -> NDArray[np.float64]:
    values = np.array([getattr(c, name) for c in _TABLE], dtype=np.float64)
    values.flags.writeable = False
    return values


MEDIAN_TICKET: Final = _column("median_ticket")
TICKET_SIGMA: Final = _column("ticket_sigma")
BASE_SHARE: Final = _column("base_share")
ONLINE_SHARE: Final = _column("online_share")
LEAK_WEIGHT: Final = _column("leak_weight")
EVENT_WEIGHT: Final = _column("event_weight")
EVENT_TICKET: Final = _column("event_ticket")


class FraudKind(IntEnum):
    """Column `scenario` of a stream; 0 is a legitimate payment."""

    SKIMMED_TERMINAL = 2
    LEAKED_CARD = 3
    ACCOUNT_TAKEOVER = 4
    CARD_TESTING = 5


FRAUD_KINDS: Final[dict[int, str]] = {int(kind): kind.name.lower().replace("_", " ") for kind in FraudKind}


class Ship(IntEnum):
    """Column `ship`: where an online order goes."""

    HOME = 0
    KNOWN_OTHER = 1
    NEW = 2
