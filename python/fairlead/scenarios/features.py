"""Point-in-time features of the payments stream: each row's values come from that row and from earlier rows only.

"Earlier" is the stream's order: of two payments in the same second, the one with the smaller `tx_id` came first.
Sums are kept in whole cents, so that a later row cannot change an earlier value even in its last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import BadInputError
from fairlead.scenarios.payments.stream import Stream

HOUR: Final = 3_600
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
LONGEST_PAUSE_HOURS: Final = 720.0
"""`hours_since_last` is capped here, and is this where the card has no earlier payment."""

FEATURES: Final[dict[str, str]] = {
    "amount": "euro",
    "category": "integer code: the place of the name in `fairlead.scenarios.payments.CATEGORIES`",
    "online": "bought online",
    "foreign": "merchant abroad",
    "distance": "kilometres from home to the point of sale; missing online",
    "merchant_age_days": "days since the merchant opened, at most 400",
    "ship": "0 home, 1 another known address, 2 a new one",
    "new_device": "device never seen with the card",
    "hour": "hour of the day, 0 to 23",
    "weekday": "0 Monday to 6 Sunday",
    "count_1h": "earlier payments of the card in the last hour",
    "count_24h": "earlier payments of the card in the last 24 hours",
    "count_7d": "earlier payments of the card in the last 7 days",
    "sum_1h": "euro of the earlier payments of the card in the last hour",
    "sum_24h": "euro of the earlier payments of the card in the last 24 hours",
    "sum_7d": "euro of the earlier payments of the card in the last 7 days",
    "amount_ratio": "amount against the mean of the card's earlier payments; 1 where there is none",
    "new_merchant": "the card's first payment at this merchant",
    "new_merchants_24h": "merchants new to the card among its earlier payments of the last 24 hours",
    "hours_since_last": "hours since the card's previous payment, at most 720; 720 where there is none",
}
"""Every feature in column order, and what it means."""

Columns = dict[str, NDArray[Any]]

_Value = TypeVar("_Value", bound=np.generic)


def point_in_time_features(stream: Stream) -> Columns:
    """The columns of `FEATURES` for every row of `stream`, in its order.

    Numbers are float32 or integers that float32 holds exactly; flags are booleans; `distance` has NaN for missing.
    Raises `BadInputError` where the stream is not sorted by time.
    """
    second = stream.ts.astype("datetime64[s]").astype(np.int64)
    if np.any(np.diff(second) < 0):
        raise BadInputError("features need a stream sorted by time")
    new_merchant = _first_of_pair(stream.customer, stream.merchant)
    cents = np.rint(stream.amount * 100.0).astype(np.int64)
    history = _History.of(stream.customer, second, (cents, new_merchant.astype(np.int64)))
    values: Columns = {
        "amount": stream.amount.astype(np.float32),
        "category": stream.category.astype(np.int32),
        "online": stream.online,
        "foreign": stream.foreign,
        "distance": stream.distance.astype(np.float32),
        "merchant_age_days": stream.merchant_age_days.astype(np.int32),
        "ship": stream.ship.astype(np.int32),
        "new_device": stream.new_device,
        "hour": (second // HOUR % 24).astype(np.int32),
        # 1970-01-01 was a Thursday.
        "weekday": ((second // DAY + 3) % 7).astype(np.int32),
        "count_1h": history.count(HOUR),
        "count_24h": history.count(DAY),
        "count_7d": history.count(WEEK),
        "sum_1h": history.euro(HOUR),
        "sum_24h": history.euro(DAY),
        "sum_7d": history.euro(WEEK),
        "amount_ratio": history.amount_ratio(),
        "new_merchant": new_merchant,
        "new_merchants_24h": history.new_merchants(DAY),
        "hours_since_last": history.hours_since_last(),
    }
    return {name: values[name] for name in FEATURES}


@dataclass(frozen=True, slots=True)
class _History:
    """The payments sorted by card, then by time."""

    order: NDArray[np.int64]
    """Sorted place -> row of the stream."""
    key: NDArray[np.int64]
    """Card and second in one ascending number."""
    start: NDArray[np.int64]
    """Place of the card's first payment, for each place."""
    cents: NDArray[np.int64]
    before: NDArray[np.int64]
    """Cents of all places before this one, (n + 1,)."""
    new_before: NDArray[np.int64]
    """First payments at a merchant before this place, (n + 1,)."""

    @classmethod
    def of(
        cls, card: NDArray[np.int32], second: NDArray[np.int64], sums: tuple[NDArray[np.int64], NDArray[np.int64]]
    ) -> _History:
        cents, new_merchant = sums
        order = np.argsort(card, kind="stable")
        sorted_card = card[order].astype(np.int64)
        span = (int(second[-1] - second[0]) if len(second) else 0) + WEEK + 1
        key = sorted_card * span + (second[order] - second[:1])
        start = np.searchsorted(sorted_card, sorted_card, side="left")
        return cls(
            order, key, start.astype(np.int64), cents[order], _before(cents[order]), _before(new_merchant[order])
        )

    def count(self, seconds: int) -> NDArray[np.int32]:
        """Earlier payments of the card in the last `seconds`."""
        return self._back((np.arange(len(self.key)) - self._window_start(seconds)).astype(np.int32))

    def euro(self, seconds: int) -> NDArray[np.float32]:
        """Their sum."""
        total = self.before[:-1] - self.before[self._window_start(seconds)]
        return self._back((total / 100.0).astype(np.float32))

    def new_merchants(self, seconds: int) -> NDArray[np.int32]:
        """First payments at a merchant among the earlier payments of the card in the last `seconds`."""
        return self._back((self.new_before[:-1] - self.new_before[self._window_start(seconds)]).astype(np.int32))

    def amount_ratio(self) -> NDArray[np.float32]:
        """This amount against the mean of all earlier ones; 1 for the first payment."""
        earlier = np.arange(len(self.key)) - self.start
        mean = (self.before[:-1] - self.before[self.start]) / np.maximum(earlier, 1)
        ratio = np.divide(self.cents, mean, out=np.ones(len(mean)), where=mean > 0)
        return self._back(ratio.astype(np.float32))

    def hours_since_last(self) -> NDArray[np.float32]:
        """Hours since the card's previous payment, capped."""
        pause = np.diff(self.key, prepend=self.key[:1]) / HOUR
        first = np.arange(len(self.key)) == self.start
        return self._back(
            np.where(first, LONGEST_PAUSE_HOURS, np.minimum(pause, LONGEST_PAUSE_HOURS)).astype(np.float32)
        )

    def _window_start(self, seconds: int) -> NDArray[np.int64]:
        # A card's keys are more than a week from the next card's, so no window reaches into another card.
        return np.searchsorted(self.key, self.key - seconds, side="right").astype(np.int64)

    def _back(self, values: NDArray[_Value]) -> NDArray[_Value]:
        unsorted = np.empty_like(values)
        unsorted[self.order] = values
        return unsorted


def _before(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(values)])


def _first_of_pair(card: NDArray[np.int32], merchant: NDArray[np.int32]) -> NDArray[np.bool_]:
    pair = card.astype(np.int64) << 32 | merchant
    first = np.zeros(len(pair), dtype=np.bool_)
    first[np.unique(pair, return_index=True)[1]] = True
    return first
