"""Shadow traffic: both models saw the same request, so only the requests on which they disagree tell anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fairlead.rollout.evidence.arguments import Floats, counts
from fairlead.rollout.evidence.ramp import RatioTest, Side

_EVEN = np.array([0.5])


def flips_log_e(worse: ArrayLike, better: ArrayLike, margin: float = 1.0, side: Side = Side.HARM) -> Floats:
    """The logarithm of the evidence that the challenger flips answers for the worse more than `margin` times as
    often as for the better.

    `worse` and `better` count the discordant pairs of either direction and broadcast; pairs that agree do not matter.
    The sequential form of McNemar's test: the arm of a discordant pair is a fair coin where the models are equally
    good.
    """
    worse, better = np.broadcast_arrays(counts("worse", worse), counts("better", better))
    return RatioTest(side, margin).log_e(_EVEN, worse[..., None], (worse + better)[..., None])
