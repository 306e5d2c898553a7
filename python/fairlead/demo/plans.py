"""The rollouts that the demo declares, as documents."""

from __future__ import annotations

from typing import Any

from fairlead.demo.options import Pace

UNKNOWN_SECONDS = 1.5
"""How much longer shadow traffic lasts than it takes to meet every unit: the cohort is cut for the units known."""
PREVIEW_SECONDS = 1.0
ALPHA = 0.01
"""How often the good challenger is rolled back for nothing."""
TIMEOUT = "60s"
CANARY_SHARES = "shadow to a cohort, 5 %, 25 % and 100 %"
TRIAL_WEIGHT = 10
TRIAL_COHORTS = 4
"""A trial asks for more units than its weight gives: it ends by evidence of harm, or it times out."""


def guardrails(positive: object) -> list[dict[str, Any]]:
    """What must not get worse; `positive` is the decision that declines."""
    return [
        {"name": "errors", "kind": "rate", "margin": {"ratio": 2}},
        {"name": "p95", "kind": "quantile", "q": 0.95, "margin": {"abs": 20}, "harmMargin": {"abs": 2}},
        {"name": "scores", "kind": "distribution", "margin": {"abs": 0.15}},
        {"name": "declined", "kind": "decision_rate", "metric": positive, "harmMargin": {"ratio": 1.5}},
    ]


def canary(name: str, endpoint: str, digest: str, pace: Pace, positive: object) -> dict[str, Any]:
    """Shadow traffic, a cohort in units, 5 %, 25 %, everybody: each step by evidence."""
    shadow = pace.stream_units / pace.stream_rate + UNKNOWN_SECONDS
    steps = [
        {"shadow": {"percent": 100}},
        {"pause": {"duration": f"{shadow:.1f}s"}},
        {"shadow": {"percent": 0}},
        {"setCohort": {"maxUnits": pace.cohort}},
        _analysis({"minUnits": round(0.8 * pace.cohort)}),
        {"setWeight": 5},
        _analysis({"minUnits": pace.cohort, "minDuration": "2s"}),
        {"setWeight": 25},
        _analysis({"proven": ["p95", "scores"], "minDuration": "2s"}),
    ]
    return _document(name, endpoint, digest, {"canary": {"steps": steps}}, guardrails(positive))


def trial(name: str, endpoint: str, digest: str, pace: Pace, positive: object) -> dict[str, Any]:
    """A tenth of the units, under the same guardrails."""
    steps = [
        {"setWeight": TRIAL_WEIGHT},
        _analysis({"proven": ["p95", "scores"], "minUnits": TRIAL_COHORTS * pace.cohort}),
    ]
    return _document(name, endpoint, digest, {"canary": {"steps": steps}}, guardrails(positive))


def blue_green(name: str, endpoint: str, digest: str) -> dict[str, Any]:
    """Asked by name, until somebody promotes it."""
    return _document(name, endpoint, digest, {"blueGreen": {"previewSeconds": f"{PREVIEW_SECONDS}s"}}, [])


def _analysis(until: dict[str, Any]) -> dict[str, Any]:
    return {"analysis": {"until": until, "timeout": TIMEOUT, "onTimeout": "rollback"}}


def _document(
    name: str, endpoint: str, digest: str, strategy: dict[str, Any], guarded: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "apiVersion": "fairlead.dev/v1",
        "kind": "Rollout",
        "metadata": {"name": name},
        "spec": {
            "endpoint": endpoint,
            "challenger": {"bundle": digest},
            "alpha": ALPHA,
            "guardrails": guarded,
            "strategy": strategy,
        },
    }
