"""What a rollout decided, read from its recorded decisions: values in, words out."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import Any

WAITING = ("pause", "analysis")
LARGEST = log(1e6)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A guardrail's evidence at a decision, as logarithms of e-values."""

    name: str
    harm: float
    harm_needed: float
    safe: bool
    harmful: bool
    champion: int
    """Outcomes counted: units with errors, with the decision, with an answer that was timed or scored."""
    challenger: int

    @classmethod
    def of(cls, assessment: dict[str, Any]) -> Guarded:
        """Read one of a decision's assessments."""
        return cls(
            name=assessment["name"],
            harm=assessment["harm_log_e"] or 0.0,
            harm_needed=-log(assessment["alpha_harm"]),
            safe=assessment["safe"],
            harmful=assessment["harmful"],
            champion=assessment["champion"],
            challenger=assessment["challenger"],
        )

    def harm_words(self) -> str:
        """The evidence of harm beside what it takes."""
        return f"{_e_value(self.harm)} of {exp(self.harm_needed):.0f}"


@dataclass(frozen=True, slots=True)
class Move:
    """One decision."""

    kind: str
    """`rollout.advanced`, `rollout.rolled_back`, ..."""
    seconds: float
    """Since the rollout began."""
    step: int
    reason: str
    share: float
    """That the challenger had before."""
    requests: int
    """That the challenger answered, or failed to, over the rollout."""
    units: int
    """Different ones among these, by a sketch: about right."""
    known_units: int
    pairs: int
    """Shadow answers compared."""
    flips: int
    """Of these, with another decision."""
    guardrails: tuple[Guarded, ...]

    @property
    def harmful(self) -> tuple[Guarded, ...]:
        """Guardrails that showed harm."""
        return tuple(one for one in self.guardrails if one.harmful)


def read_move(event: dict[str, Any], started_us: int) -> Move:
    """Read a recorded decision of a rollout that began at `started_us`."""
    decision, before = event["evidence"]["decision"], event["evidence"]["before"] or {}
    evidence, found = decision["evidence"] or {}, decision["assessments"] or {}
    epochs = evidence.get("epochs", [])
    routing = before.get("routing") or {}
    return Move(
        kind=event["kind"],
        seconds=(event["at_us"] - started_us) / 1e6,
        step=decision["step"],
        reason=decision["reason"],
        share=routing.get("share", 0.0),
        requests=sum(epoch["challenger"]["requests"] for epoch in epochs),
        units=evidence.get("challenger_units", 0),
        known_units=evidence.get("known_units", 0),
        pairs=sum(epoch["pairs"] for epoch in epochs),
        flips=sum(count for epoch in epochs for was, now, count in epoch["flips"] if was != now),
        guardrails=tuple(Guarded.of(one) for one in found.get("guardrails", [])),
    )


def stage_of(steps: list[dict[str, Any]], step: int) -> str | None:
    """What a step that waits has waited in: the last thing set before it; None for a step that sets."""
    if step >= len(steps) or not set(steps[step]) & set(WAITING):
        return None
    for one in reversed(steps[:step]):
        [(kind, value)] = one.items()
        if kind == "setWeight":
            return f"{value:g} %"
        if kind == "setCohort":
            return f"{value['maxUnits']:,} units"
        if kind == "shadow" and value["percent"]:
            return f"shadow {value['percent']:g} %"
    return None


def words_of(stage: str, move: Move) -> str:
    """One line: what a stage has shown."""
    if move.share == 0.0:
        seen = f"{move.known_units:,} units seen; {move.pairs:,} answers compared, {move.flips:,} other decisions"
    else:
        whom = f"{move.units:,} of {move.known_units:,} units ({move.share:.1%}), {move.requests:,} requests"
        seen = f"{whom}; {_evidence(move)}"
    return f"{move.seconds:5.1f} s  {stage:<12} {seen}"


def rolled_back(move: Move) -> str:
    """Say after how much, and why."""
    why = "; ".join(f"{one.name}: evidence {one.harm_words()}" for one in move.harmful) or move.reason
    after = f"{move.requests:,} requests of about {move.units:,} units to it"
    return f"{move.seconds:5.1f} s  rolled back after {after}, by {why}"


def _evidence(move: Move) -> str:
    if not move.guardrails:
        return "no guardrails"
    worst = max(move.guardrails, key=lambda one: one.harm / one.harm_needed)
    safe = [one.name for one in move.guardrails if one.safe]
    shown = f"shown safe: {', '.join(safe)}" if safe else "nothing shown safe yet"
    return f"harm at most {worst.harm_words()} ({worst.name}); {shown}"


def _e_value(log_e: float) -> str:
    return f"{exp(log_e):.2g}" if log_e < LARGEST else f"1e{log_e / log(10):.0f}"
