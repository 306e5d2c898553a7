"""Shadow flips: only discordant pairs count."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.rollout.evidence.paired import flips_log_e
from fairlead.rollout.evidence.ramp import Epoch, RatioTest, Side


def test_it_is_the_rate_test_at_a_share_of_one_half() -> None:
    test = RatioTest(Side.HARM, 1.0)
    assert flips_log_e(12, 3) == pytest.approx(test.log_e_of([Epoch(0.5, 12, 15)]))
    paths = flips_log_e(np.arange(5), 2)
    assert paths.shape == (5,)
    assert (np.diff(paths) > 0).all()


def test_more_flips_for_the_better_are_safe() -> None:
    assert flips_log_e(10, 60, margin=1.25, side=Side.SAFE) > np.log(20)
    assert flips_log_e(10, 60) < 0
