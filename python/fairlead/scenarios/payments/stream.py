"""The finished stream: sorted columns."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairlead.scenarios.payments.arrivals import ordinary_payments
from fairlead.scenarios.payments.catalogue import CATEGORIES
from fairlead.scenarios.payments.choice import Market, distance_km
from fairlead.scenarios.payments.config import DAY_SECONDS, PaymentsScenario, Purpose
from fairlead.scenarios.payments.event import event_payments
from fairlead.scenarios.payments.fraud import attacks, skim, underworld
from fairlead.scenarios.payments.labels import report_delay_days
from fairlead.scenarios.payments.population import OLDEST_KNOWN_DAYS, Population, draw_population
from fairlead.scenarios.payments.rows import Rows, concatenate

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Stream:
    """Payments in order of time; arrays of one length.

    `fraud` and `scenario` are the truth, for judging only. A system under test may use a row's label from
    `reported_at` on, and only if it approved the payment.
    """

    tx_id: NDArray[np.int64]
    ts: NDArray[np.datetime64]
    """Whole seconds, UTC. Payments of one second stand in the order of `tx_id`."""
    customer: NDArray[np.int32]
    merchant: NDArray[np.int32]
    amount: NDArray[np.float64]
    """Euro, two decimals."""
    category: NDArray[np.int8]
    """Place of the name in `CATEGORIES`."""
    online: NDArray[np.bool_]
    foreign: NDArray[np.bool_]
    distance: NDArray[np.float32]
    """Kilometres from the card's home to the point of sale, one decimal; NaN online."""
    merchant_age_days: NDArray[np.int16]
    """At most 400."""
    ship: NDArray[np.int8]
    """0 home, 1 another known address, 2 a new one."""
    new_device: NDArray[np.bool_]
    fraud: NDArray[np.bool_]
    scenario: NDArray[np.int8]
    """0 legitimate, else a key of `FRAUD_KINDS`."""
    reported_at: NDArray[np.datetime64]
    """When a chargeback would arrive; NaT: never."""

    def __len__(self) -> int:
        """Number of payments."""
        return len(self.tx_id)

    def take(self, rows: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Stream:
        """The payments at `rows`."""
        return Stream(*(getattr(self, field.name)[rows] for field in fields(self)))

    def digest(self) -> str:
        """sha256 of all columns' bytes: equal streams have equal digests."""
        total = hashlib.sha256()
        for field in fields(self):
            column = np.ascontiguousarray(getattr(self, field.name))
            total.update(f"{field.name}:{column.dtype.str}:{len(column)};".encode())
            total.update(column.tobytes())
        return total.hexdigest()

    def to_table(self) -> pa.Table:
        """The stream as an Arrow table; the category by name, times in microseconds."""
        import pyarrow as pa

        columns = {field.name: pa.array(getattr(self, field.name)) for field in fields(self)}
        columns["category"] = pa.DictionaryArray.from_arrays(pa.array(self.category), pa.array(CATEGORIES))
        columns["distance"] = pa.array(self.distance, from_pandas=True)
        for name in ("ts", "reported_at"):
            columns[name] = columns[name].cast(pa.timestamp("us"))
        return pa.table(columns)


def generate(scenario: PaymentsScenario) -> Stream:
    """Draw the whole stream. Equal scenarios give equal bytes; a million rows take seconds."""
    population = draw_population(scenario)
    market = Market.of(scenario, population)
    world = underworld(scenario, market)
    legitimate = concatenate([*ordinary_payments(scenario, market), *event_payments(scenario, market)])
    rows = concatenate([skim(world, legitimate), *attacks(world)])
    ordered = rows.take(np.argsort(rows.second, kind="stable"))
    return _finish(scenario, population, ordered)


def _finish(scenario: PaymentsScenario, population: Population, rows: Rows) -> Stream:
    merchants = population.merchants
    online = merchants.online[rows.merchant]
    fraud = rows.scenario > 0
    start = np.datetime64(scenario.start.isoformat(), "s")
    ts = start + rows.second.astype("timedelta64[s]")
    delay = report_delay_days(scenario.generator(Purpose.LABELS), fraud, online)
    known = ~np.isnan(delay)
    reported_at = np.full(len(rows), np.datetime64("NaT", "s"))
    reported_at[known] = ts[known] + (delay[known] * DAY_SECONDS).astype(np.int64).astype("timedelta64[s]")
    distance = np.round(distance_km(population, rows.card, rows.merchant), 1)
    age = rows.second // DAY_SECONDS - merchants.opened_day[rows.merchant]
    return Stream(
        tx_id=np.arange(len(rows), dtype=np.int64),
        ts=ts,
        customer=rows.card.astype(np.int32),
        merchant=rows.merchant.astype(np.int32),
        amount=rows.cents / 100.0,
        category=merchants.category[rows.merchant].astype(np.int8),
        online=online,
        foreign=online & merchants.foreign[rows.merchant],
        distance=np.where(online, np.nan, distance).astype(np.float32),
        merchant_age_days=np.minimum(age, OLDEST_KNOWN_DAYS).astype(np.int16),
        ship=rows.ship,
        new_device=rows.new_device,
        fraud=fraud,
        scenario=rows.scenario,
        reported_at=reported_at,
    )
