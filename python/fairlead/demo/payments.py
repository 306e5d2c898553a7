"""Material from the simulated payments: two ordinary months to learn from, then ordinary weeks and a Black Friday."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlead.demo.material import Material, Stretch
from fairlead.demo.options import DemoOptions
from fairlead.scenarios.features import point_in_time_features
from fairlead.scenarios.payments import PaymentsScenario, generate

TRAIN_DAYS = (21, 55)
VALIDATION_DAYS = (56, 62)
ORDINARY_DAYS = (63, 76)
EVENT_DAYS = 0, 1
"""Black Friday and the day after, relative to it."""


def payments_material(options: DemoOptions) -> Material:
    """Draw the stream and compute its features, each from earlier rows only."""
    import pandas as pd

    scenario = PaymentsScenario(seed=options.seed, cards=options.pace.cards, days=84)
    stream = generate(scenario)
    day = (stream.ts - np.datetime64(scenario.start.isoformat())) // np.timedelta64(1, "D")
    friday = scenario.black_friday_day
    assert friday is not None
    known = float(np.mean(~np.isnat(stream.reported_at[stream.fraud])))

    def rows(first: int, last: int) -> NDArray[np.int64]:
        return np.flatnonzero((day >= first) & (day <= last)).astype(np.int64)

    said = (
        f"the prototype learns from final labels, as a notebook does; live, {known:.0%} of the frauds will be "
        f"reported, half of them later than {_median_delay(stream.ts, stream.reported_at):.0f} days"
    )
    return Material(
        endpoint="fraud",
        source=f"simulated card payments, seed {scenario.seed}, {scenario.cards:,} cards, {scenario.days} days",
        features=pd.DataFrame(point_in_time_features(stream)),
        label_name="fraud",
        labels=stream.fraud.astype(np.int8),
        weights=np.ones(len(stream)),
        train=rows(*TRAIN_DAYS),
        validation=rows(*VALIDATION_DAYS),
        live=(
            Stretch("ordinary weeks", rows(*ORDINARY_DAYS)),
            Stretch("Black Friday", rows(friday + EVENT_DAYS[0], friday + EVENT_DAYS[1])),
        ),
        unit=("customer", stream.customer),
        remarks=(said,),
    )


def _median_delay(ts: NDArray[np.datetime64], reported_at: NDArray[np.datetime64]) -> float:
    known = ~np.isnat(reported_at)
    return float(np.median((reported_at[known] - ts[known]) / np.timedelta64(1, "D")))
