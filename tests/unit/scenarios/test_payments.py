"""The simulated stream is what its specification says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.errors import BadInputError
from fairlead.scenarios.payments import CATEGORIES, PaymentsScenario, Stream, generate
from fairlead.scenarios.payments.catalogue import FraudKind, Ship
from fairlead.scenarios.payments.event import volume_factor
from fairlead.scenarios.payments.labels import report_delay_days

pytestmark = pytest.mark.timeout(120)

ORDINARY = PaymentsScenario(seed=5, cards=12_000, days=56, black_friday_day=None)
EVENT = PaymentsScenario(seed=5, cards=6_000, days=90, shift=0.6)


@pytest.fixture(scope="module")
def ordinary() -> Stream:
    return generate(ORDINARY)


@pytest.fixture(scope="module")
def event() -> Stream:
    return generate(EVENT)


def day_of(stream: Stream, scenario: PaymentsScenario) -> NDArray[np.int64]:
    return ((stream.ts - np.datetime64(scenario.start.isoformat())) // np.timedelta64(1, "D")).astype(np.int64)


def test_equal_scenarios_give_equal_bytes_and_another_seed_does_not() -> None:
    small = PaymentsScenario(seed=1, cards=500, merchants=300, days=20, black_friday_day=10)
    again = PaymentsScenario(seed=1, cards=500, merchants=300, days=20, black_friday_day=10)
    other = PaymentsScenario(seed=2, cards=500, merchants=300, days=20, black_friday_day=10)
    assert generate(small).digest() == generate(again).digest()
    assert generate(small).digest() != generate(other).digest()


def test_rows_are_in_order_and_inside_the_days(event: Stream) -> None:
    day = day_of(event, EVENT)
    assert np.all(np.diff(event.ts.astype(np.int64)) >= 0)
    assert day.min() == 0
    assert day.max() == EVENT.days - 1
    assert np.array_equal(event.tx_id, np.arange(len(event)))


def test_an_ordinary_card_pays_two_times_in_five_days(ordinary: Stream) -> None:
    assert 0.37 < len(ordinary) / ORDINARY.cards / ORDINARY.days < 0.45


def test_weekends_are_busier_than_mondays(ordinary: Stream) -> None:
    by_day = np.bincount(day_of(ordinary, ORDINARY), minlength=ORDINARY.days)
    monday, saturday = by_day[0::7].mean(), by_day[5::7].mean()
    assert 1.2 / 0.9 * 0.95 < saturday / monday < 1.2 / 0.9 * 1.05


def test_volume_follows_the_curve_of_the_event(event: Stream) -> None:
    by_day = np.bincount(day_of(event, EVENT), minlength=EVENT.days) / EVENT.weekday_factor()
    relative = by_day / by_day[:70].mean()
    friday = 81
    assert EVENT.black_friday_day == friday
    # Sprees add up to a fifth of the event's own purchases to the curve.
    for offset, wanted in {-4: 1.3, -1: 2.2, 0: 6.0, 1: 3.0, 3: 5.0, 6: 1.4}.items():
        assert wanted * 0.93 < relative[friday + offset] < wanted * 1.3, offset
    assert volume_factor(EVENT)[:77].tolist() == [1.0] * 77


def test_about_one_payment_in_two_hundred_is_fraud() -> None:
    # The mean of several runs: one run's share varies with its number of raids and of long leaks.
    runs = [PaymentsScenario(seed=seed, cards=8_000, days=60, black_friday_day=None) for seed in range(8)]
    shares = [generate(run).fraud.mean() for run in runs]
    assert 0.0044 < np.mean(shares) < 0.0052


def test_fraud_is_rarer_per_payment_in_the_event(event: Stream) -> None:
    day = day_of(event, EVENT)
    window = (day >= 80) & (day <= 84)
    assert event.fraud[window].mean() < 0.6 * event.fraud[day < 77].mean()


def test_attacks_grow_with_the_root_of_the_volume() -> None:
    """Take-overs are over within hours, so their days are the days of the attack."""
    busy, calm = 0, 0
    for seed in range(6):
        scenario = PaymentsScenario(seed=seed, cards=6_000, days=86)
        stream = generate(scenario)
        day = day_of(stream, scenario)[stream.scenario == FraudKind.ACCOUNT_TAKEOVER]
        busy += int(((day >= 81) & (day <= 84)).sum())
        calm += int((day < 77).sum())
    root = np.sqrt(volume_factor(PaymentsScenario(days=86))[81:85]).mean()
    assert busy / 4 / (calm / 77) == pytest.approx(root, rel=0.4)
    # In step with the volume itself it would be twice that.
    assert volume_factor(PaymentsScenario(days=86))[81:85].mean() > 1.9 * root


def test_every_kind_of_fraud_looks_as_specified(event: Stream) -> None:
    def of(kind: FraudKind) -> Stream:
        return event.take(event.scenario == kind)

    leaked, taken = of(FraudKind.LEAKED_CARD), of(FraudKind.ACCOUNT_TAKEOVER)
    tested, skimmed = of(FraudKind.CARD_TESTING), of(FraudKind.SKIMMED_TERMINAL)
    assert min(map(len, (leaked, taken, tested, skimmed))) > 10
    assert leaked.online.all()
    assert 0.47 < leaked.new_device.mean() < 0.63
    assert 0.37 < (leaked.ship == Ship.NEW).mean() < 0.53
    assert taken.new_device.all()
    assert tested.amount.max() <= 2.5
    assert not skimmed.online.any()
    assert np.array_equal(event.fraud, event.scenario > 0)


def test_labels_arrive_late_or_never() -> None:
    rng = np.random.default_rng(3)
    fraud = np.ones(200_000, dtype=np.bool_)
    delay = report_delay_days(rng, fraud, fraud)
    known = delay[~np.isnan(delay)]
    assert 0.915 < len(known) / len(delay) < 0.925
    assert np.quantile(known, [0.25, 0.5, 0.75]) == pytest.approx([5.0, 11.9, 23.5], rel=0.06)
    assert np.quantile(known, 0.95) == pytest.approx(58, rel=0.06)
    assert known.max() == 120.0


def test_a_few_good_customers_charge_back_too(ordinary: Stream) -> None:
    friendly = ~np.isnat(ordinary.reported_at) & ~ordinary.fraud
    assert not (friendly & ~ordinary.online).any()
    assert 0.0001 < friendly.sum() / ordinary.online.sum() < 0.0006
    reported = ~np.isnat(ordinary.reported_at)
    assert np.all(ordinary.reported_at[reported] >= ordinary.ts[reported])


def test_columns_hold_together(event: Stream) -> None:
    assert np.array_equal(np.isnan(event.distance), event.online)
    assert not (event.foreign & ~event.online).any()
    assert not ((event.ship > 0) & ~event.online).any()
    assert event.merchant_age_days.min() >= 0
    assert event.merchant_age_days.max() == 400
    assert event.amount.min() >= 0.5
    assert np.array_equal(np.rint(event.amount * 100) / 100, event.amount)
    assert 0 <= event.category.min() <= event.category.max() < len(CATEGORIES)


def test_the_event_leaves_the_days_before_it_as_they_were() -> None:
    """The event draws from a generator of its own."""
    calm = generate(PaymentsScenario(seed=5, cards=6_000, days=90, shift=0.0))
    wild = generate(PaymentsScenario(seed=5, cards=6_000, days=90, shift=1.0))

    def early(stream: Stream) -> Stream:
        return stream.take(day_of(stream, EVENT) < 60)

    assert len(early(calm)) == len(early(wild))
    assert np.array_equal(early(calm).amount, early(wild).amount)


def test_shift_moves_behaviour_towards_fraud() -> None:
    def friday(shift: float) -> Stream:
        scenario = PaymentsScenario(seed=5, cards=6_000, days=83, shift=shift)
        stream = generate(scenario)
        return stream.take((day_of(stream, scenario) == 81) & ~stream.fraud)

    calm, wild = friday(0.0), friday(1.0)
    assert (wild.ship[wild.online] == Ship.NEW).mean() > 3 * (calm.ship[calm.online] == Ship.NEW).mean()
    assert wild.new_device[wild.online].mean() > 1.8 * calm.new_device[calm.online].mean()
    electronics = CATEGORIES.index("electronics")
    assert (wild.category == electronics).mean() > 1.5 * (calm.category == electronics).mean()


def test_the_table_has_names_and_nulls_where_people_expect_them(event: Stream) -> None:
    table = event.take(slice(0, 500)).to_table()
    assert table.num_rows == 500
    assert set(table.column("category").to_pylist()) <= set(CATEGORIES)
    assert table.column("distance").null_count == int(event.online[:500].sum())
    assert str(table.schema.field("ts").type) == "timestamp[us]"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"cards": 3}, "cards"),
        ({"merchants": 10}, "merchants"),
        ({"days": 0, "black_friday_day": None}, "days"),
        ({"shift": 1.5}, "shift"),
        ({"shift": float("nan")}, "shift"),
        ({"black_friday_day": 98}, "black_friday_day"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_scenario_that_makes_no_world_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInputError, match=word):
        PaymentsScenario(**change)
