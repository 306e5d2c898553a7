"""When evidence about a rate ratio is enough: the exact distribution of the number of events until then.

At a constant share the events are a coin's tosses, so the challenger's count is a random walk on whole numbers and
the evidence depends on (events, challenger's events) only. Its stopping times need no simulation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlead.rollout.evidence.arguments import Floats, positive, probability, require
from fairlead.rollout.evidence.ramp import RatioTest, Side, event_share

_NEGLIGIBLE = 1e-13
_CHUNK = 4_096


def boundary(test: RatioTest, share: float, alpha: float, events: int) -> NDArray[np.int64]:
    """For 0 to `events` events: the challenger's count that stops (for harm at least it, for safe at most it).

    Where no count stops, one that is impossible: n + 1 for harm, -1 for safe.
    """
    probability("share", share)
    require(test.side is not Side.EITHER, "side", "harm or safe", test.side)
    require(events >= 1, "events", "at least 1", events)
    threshold = -np.log(probability("alpha", alpha))
    n = np.arange(events + 1)
    return np.concatenate([_search(test, share, threshold, n[i : i + _CHUNK]) for i in range(0, events + 1, _CHUNK)])


def stopped_by(test: RatioTest, share: float, ratio: float, limits: NDArray[np.int64]) -> Floats:
    """The probability of having stopped after 0, 1, ... events at a true `ratio`, given the limits of `boundary`."""
    theta = event_share(probability("share", share), positive("ratio", ratio))
    harm = test.side is Side.HARM
    # Harm counts the challenger's events, safe the champion's: both stop at "at least".
    hit = theta if harm else 1 - theta
    steps = np.arange(len(limits))
    stop = limits if harm else steps - limits
    alive = np.ones(1)
    first = 0  # the count that alive[0] is about
    stopped = np.zeros(len(limits))
    for n in range(1, len(limits)):
        grown = np.zeros(len(alive) + 1)
        grown[:-1] = alive * (1 - hit)
        grown[1:] += alive * hit
        keep = max(int(stop[n]) - first, 0)
        stopped[n] = stopped[n - 1] + grown[keep:].sum()
        alive = grown[:keep]
        lost = int(np.searchsorted(np.cumsum(alive), _NEGLIGIBLE))
        alive, first = alive[lost:], first + lost
        if not alive.size:
            stopped[n:] = stopped[n]
            break
    return stopped


def events_until(stopped: Floats, probability_: float) -> int | None:
    """The number of events after which one has stopped with that probability; None if it is not reached."""
    place = int(np.searchsorted(stopped, probability("probability", probability_)))
    return place if place < len(stopped) else None


def _search(test: RatioTest, share: float, threshold: float, n: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bisection, for all n at once: the evidence is monotone in the challenger's count."""
    harm = test.side is Side.HARM
    shares = np.array([share])
    # `no` does not stop, `yes` does; both counted in the direction of the evidence.
    no, yes = np.full_like(n, -1), n + 1
    while ((yes - no) > 1).any():
        middle = (no + yes) // 2
        inside = np.clip(middle, 0, n)
        count = inside if harm else n - inside
        enough = test.log_e(shares, count[:, None], n[:, None]) >= threshold
        open_ = (yes - no) > 1
        yes = np.where(open_ & enough, middle, yes)
        no = np.where(open_ & ~enough, middle, no)
    return yes if harm else n - yes
