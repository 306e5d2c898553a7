"""What a rollout can and cannot find out, before it starts: units, events and hours until harm is seen or safety is
shown.

Exact for a constant share (`crossing`): no simulation, no normal approximation. Events are turned into units by
expectation. Only what the declared cohort allows is searched, so a plan takes seconds at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf

import numpy as np
from scipy import optimize, special

from fairlead.rollout.evidence.arguments import positive, probability, require
from fairlead.rollout.evidence.crossing import boundary, events_until, stopped_by
from fairlead.rollout.evidence.ramp import RatioTest, Side, event_share

RATIOS = (1.5, 2.0, 3.0, 5.0)
MOST_EVENTS = 20_000
"""Beyond this many bad outcomes nobody waits; a need that is larger is told as None."""
_LARGEST_RATIO = 50.0


@dataclass(frozen=True, slots=True)
class Question:
    """One rate guardrail, and how units reach it."""

    base_rate: float
    """Bad outcomes per unit in the champion."""
    share: float = 0.5
    """The challenger's, of the units that are compared."""
    safe_margin: float = 1.25
    """Promotion asks for evidence that the challenger's rate is below this many times the champion's."""
    alpha: float = 0.05
    """Of either decision."""
    power: float = 0.8
    cohort: int | None = None
    """Challenger units at most."""
    units_per_hour: float | None = None
    """Challenger units that arrive anew."""
    harm_margin: float = 1.0
    """Roll-back asks for evidence that the ratio is above this."""

    def __post_init__(self) -> None:
        for name in ("base_rate", "share", "alpha", "power"):
            probability(name, getattr(self, name))
        for name in ("safe_margin", "harm_margin"):
            positive(name, getattr(self, name))
        require(self.cohort is None or self.cohort >= 1, "cohort", "at least 1 unit", self.cohort)
        if self.units_per_hour is not None:
            positive("units_per_hour", self.units_per_hour)

    def events(self, units: float, ratio: float) -> float:
        """Expected events in both arms once the challenger has `units`, at a true `ratio`."""
        return units * self.base_rate * (ratio + (1 - self.share) / self.share)

    def units(self, events: float, ratio: float) -> float:
        """Challenger units for `events` in both arms, in expectation."""
        return events / (self.base_rate * (ratio + (1 - self.share) / self.share))


@dataclass(frozen=True, slots=True)
class Need:
    """What a decision takes at one true ratio. None: more than `MOST_EVENTS` events, or never."""

    ratio: float
    events: int | None
    """In both arms, for the power asked."""
    median_events: int | None
    units: int | None
    """Of the challenger."""
    hours: float | None
    """None also where the traffic is not known."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What `fairlead rollout plan` prints."""

    question: Question
    harm: tuple[Need, ...]
    """To roll back, at true ratios of `RATIOS`."""
    safe: Need
    """To promote a challenger that is exactly as good as the champion."""
    detectable_ratio: float | None
    """The smallest harm that the cohort finds with the power asked; None without a cohort, or where there is none
    below 50.
    """
    certifiable_margin: float | None
    """The smallest margin that the cohort can certify, for an equally good challenger; None as above."""
    safe_power: float | None
    """The probability of certifying the declared margin within the cohort; None without a cohort."""


def plan(question: Question) -> Plan:
    """Answer `question`."""
    harm_test = RatioTest(Side.HARM, question.harm_margin)
    safe_test = RatioTest(Side.SAFE, question.safe_margin)
    harm = tuple(_need(question, harm_test, ratio) for ratio in RATIOS if ratio > question.harm_margin)
    safe = _need(question, safe_test, 1.0)
    return Plan(
        question,
        harm,
        safe,
        detectable_ratio(question),
        certifiable_margin(question),
        None if question.cohort is None else _power(question, safe_test, 1.0, question.cohort),
    )


def detectable_ratio(question: Question) -> float | None:
    """The smallest true ratio that leads to a roll-back within the cohort, with the power asked."""
    if question.cohort is None:
        return None
    cohort, test = question.cohort, RatioTest(Side.HARM, question.harm_margin)
    most = _events(question, cohort, _LARGEST_RATIO)
    limits = boundary(test, question.share, question.alpha, most)

    def lack(log_ratio: float) -> float:
        ratio = float(np.exp(log_ratio))
        used = limits[: _events(question, cohort, ratio) + 1]
        return float(stopped_by(test, question.share, ratio, used)[-1]) - question.power

    low, high = np.log(question.harm_margin) + 1e-3, np.log(_LARGEST_RATIO)
    if low >= high or lack(high) < 0:
        return None
    return float(np.exp(optimize.brentq(lack, low, high, xtol=2e-3))) if lack(low) < 0 else float(np.exp(low))


def certifiable_margin(question: Question) -> float | None:
    """The smallest margin that an equally good challenger is certified for within the cohort, with the power asked."""
    if question.cohort is None:
        return None
    cohort = question.cohort

    def lack(log_margin: float) -> float:
        return _power(question, RatioTest(Side.SAFE, float(np.exp(log_margin))), 1.0, cohort) - question.power

    low, high = 0.01, np.log(_LARGEST_RATIO)
    if lack(high) < 0:
        return None
    return float(np.exp(optimize.brentq(lack, low, high, xtol=2e-3))) if lack(low) < 0 else float(np.exp(low))


def fixed_sample_units(base_rate: float, rate: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Units per arm of the one-sided two-sample z-test that looks once: what peeking is paid with is measured
    against it.
    """
    spread = probability("base_rate", base_rate) * (1 - base_rate) + probability("rate", rate) * (1 - rate)
    require(rate != base_rate, "rate", f"other than base_rate ({base_rate})", rate)
    z = special.ndtri(1 - probability("alpha", alpha)) + special.ndtri(probability("power", power))
    return float(z**2 * spread / (rate - base_rate) ** 2)


def expected_events(test: RatioTest, share: float, ratio: float, alpha: float) -> float:
    """Events until evidence is enough, about: (ln(1/alpha) + ln(n/5)/2) / KL. A formula for orders of magnitude.

    Infinity where the true `ratio` does not speak for what is tested.
    """
    theta, null = event_share(share, ratio), event_share(share, test.margin)
    right = ratio > test.margin if test.side is Side.HARM else ratio < test.margin
    if not right:
        return inf
    divergence = float(special.rel_entr(theta, null) + special.rel_entr(1 - theta, 1 - null))
    n = -np.log(probability("alpha", alpha)) / divergence
    for _ in range(20):
        n = (-np.log(alpha) + 0.5 * np.log(max(n / test.concentration, 1.0))) / divergence
    return float(n)


def _need(question: Question, test: RatioTest, ratio: float) -> Need:
    """Search among four times the events that the formula gives, then among all."""
    guess = expected_events(test, question.share, ratio, question.alpha)
    stopped = np.zeros(1)
    for most in (min(4 * guess, MOST_EVENTS), MOST_EVENTS) if guess < inf else ():
        limits = boundary(test, question.share, question.alpha, max(ceil(most), 20))
        stopped = stopped_by(test, question.share, ratio, limits)
        if stopped[-1] >= question.power or most == MOST_EVENTS:
            break
    events = events_until(stopped, question.power)
    units = None if events is None else ceil(question.units(events, ratio))
    known = units is not None and question.units_per_hour is not None
    hours = units / question.units_per_hour if known else None  # type: ignore[operator]  # both are known
    return Need(ratio, events, events_until(stopped, 0.5), units, hours)


def _power(question: Question, test: RatioTest, ratio: float, units: float) -> float:
    limits = boundary(test, question.share, question.alpha, _events(question, units, ratio))
    return float(stopped_by(test, question.share, ratio, limits)[-1])


def _events(question: Question, units: float, ratio: float) -> int:
    return int(min(max(round(question.events(units, ratio)), 1), MOST_EVENTS))
