"""Two ways to be wrong with the right formula, while nothing differs: counting requests, and pooling a ramp."""

from __future__ import annotations

import numpy as np

from benchmarks.rollouts.traffic import SHARES, Counts, Floats
from fairlead.rollout.evidence.ramp import RatioTest, Side

ALPHA = 0.05
HARM = RatioTest(Side.HARM, 1.0)
EITHER = RatioTest(Side.EITHER, 1.0)


def request_counting(rng: np.random.Generator, rollouts: int, failing: int, requests: float) -> tuple[float, float]:
    """False alarms if each of `failing` units sends `requests` bad requests on average: per request, and per unit."""
    challenger = rng.random((rollouts, failing)) < 0.5
    weight = rng.geometric(1 / requests, (rollouts, failing))
    return _alarms(challenger * weight, weight), _alarms(challenger * 1, np.ones_like(weight))


def ramp_pooling(rng: np.random.Generator, rollouts: int, events: int) -> dict[str, float]:
    """False alarms of the ramp, with `events` bad outcomes in each step, by how shares are dealt with.

    Units per step are equal while bad outcomes become more frequent from step to step, as into a peak hour.
    """
    growth = np.array([1, 2, 4])
    per_epoch = events * growth
    share = np.repeat(SHARES, per_epoch)
    hits = (rng.random((rollouts, share.size)) < share).astype(np.int64)
    x = np.cumsum(hits, axis=1)
    n = np.arange(1, share.size + 1)
    looks = np.arange(9, share.size, 10)
    # The challenger's share of all units so far, at each event.
    within = np.concatenate([np.arange(1, count + 1) / count for count in per_epoch])
    epoch = np.repeat(np.arange(len(SHARES)), per_epoch)
    before = np.concatenate([[0.0], np.cumsum(SHARES)])[epoch]
    so_far = (before + within * share) / (epoch + within)
    planned = float(np.average(SHARES))
    one_share = [EITHER.log_e([planned], x[:, [i]], np.full((rollouts, 1), n[i])) for i in looks]
    running = [HARM.log_e([so_far[i]], x[:, [i]], np.full((rollouts, 1), n[i])) for i in looks]
    by_epoch = [_epochs(hits, epoch, int(i)) for i in looks]
    return {
        "one assumed share": _share(one_share),
        "share of all units so far": _share(running),
        "by epoch, either side": _share([EITHER.log_e(SHARES, *counted) for counted in by_epoch]),
        "by epoch, harm": _share([HARM.log_e(SHARES, *counted) for counted in by_epoch]),
    }


def _alarms(challenger: Counts, events: Counts) -> float:
    """The share of rollouts that were rolled back at any of the failing units."""
    x, n = np.cumsum(challenger, axis=1), np.cumsum(events, axis=1)
    return _share([HARM.log_e([0.5], x[:, [i]], n[:, [i]]) for i in range(0, x.shape[1], 5)])


def _epochs(hits: Counts, epoch: Counts, last: int) -> tuple[Counts, Counts]:
    masks = [(epoch == k)[: last + 1] for k in range(len(SHARES))]
    x = np.stack([hits[:, : last + 1][:, mask].sum(axis=1) for mask in masks], axis=-1)
    n = np.broadcast_to(np.array([mask.sum() for mask in masks]), x.shape)
    return x, n


def _share(paths: list[Floats]) -> float:
    """Of rollouts whose evidence was enough at any look."""
    return float((np.max(paths, axis=0) >= -np.log(ALPHA)).mean())
