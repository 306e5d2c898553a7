"""Two canaries that Kayenta passed, to its users' surprise: the counts of their issues, judged by the rate test.

Sources: github.com/spinnaker/kayenta issues 426 (errors 0, 1, 2, 1, 0, 0 against zeros) and 799 (1, 4, 2, 3, 1
against zeros).
"""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.rollout.evidence.ramp import Epoch, RatioTest, Side

UNIFORM = RatioTest(Side.HARM, 1.0, concentration=1.0)
ENOUGH = np.log(1 / 0.05)


def test_issue_426_four_errors_against_none_hold_the_rollout() -> None:
    errors = sum([0, 1, 2, 1, 0, 0])
    log_e = UNIFORM.log_e_of([Epoch(0.5, errors, errors)])
    assert np.exp(log_e) == pytest.approx(6.2, rel=0.01)
    assert 0 < log_e < ENOUGH


def test_issue_799_eleven_errors_against_none_roll_back() -> None:
    errors = sum([1, 4, 2, 3, 1])
    assert np.exp(UNIFORM.log_e_of([Epoch(0.5, errors, errors)])) == pytest.approx(341, rel=0.01)
    assert RatioTest(Side.HARM, 1.0).log_e_of([Epoch(0.5, errors, errors)]) > ENOUGH
