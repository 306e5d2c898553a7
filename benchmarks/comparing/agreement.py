"""Whether both programs say the same of the same columns, and how far their numbers are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = {
    "psi": "psi",
    "jensenshannon": "js_distance_base_e",
    "hellinger": "hellinger",
    "kl_div": "kullback_leibler",
    "wasserstein": "wasserstein_sd",
    "ks": "ks_p_value",
}
"""Evidently's name of a measure, and ours of the same under its convention."""


def verdicts(ours: Any, theirs: Any) -> tuple[int, float]:
    """Columns with another verdict, and the largest relative difference of the numbers that decided."""
    found = {one["name"]: one for one in ours["columns"]}
    if set(found) != set(theirs["scores"]):
        raise LookupError(f"columns differ: {sorted(set(found) ^ set(theirs['scores']))}")
    differ, largest = 0, 0.0
    for name, (method, score, threshold) in theirs["scores"].items():
        drifted = score <= threshold if "p_value" in method else score >= threshold
        differ += (found[name]["verdict"] == "drifted") is not drifted
        largest = max(largest, _apart(found[name]["measures"][0]["value"], score))
    return differ, largest


def numbers(ours: Any, theirs: Any) -> Mapping[str, float]:
    """The largest relative difference over the columns, by measure."""
    largest: dict[str, float] = {}
    for column in ours["columns"]:
        values = {one["name"]: one["value"] for one in column["measures"]}
        for method, value in theirs["numbers"][column["name"]].items():
            if NAMES[method] in values:
                largest[method] = max(largest.get(method, 0.0), _apart(values[NAMES[method]], value))
    return largest


def _apart(ours: float, theirs: float) -> float:
    return abs(ours - theirs) / max(abs(ours), abs(theirs), 1e-6)
