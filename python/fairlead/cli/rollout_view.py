"""A rollout as a picture: phase, steps, counts by arm, evidence as bars towards 1 / alpha."""

from __future__ import annotations

import json
import sys
import time
from math import exp, log
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fairlead.cli.output import console, say
from fairlead.cli.remote import moment, show

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from fairlead.client import ControlClient

WIDTH = 20
PIPE_WIDTH = 160
EVENTS = 6
SLICES = 5
"""Of a guardrail by slices, that are shown."""
ENDED = ("promoted", "rolled_back", "undone")


def follow(control: ControlClient, name: str, every: float, *, as_json: bool) -> str:
    """Show the rollout until it ends, and return its last phase; on a terminal the picture is kept up to date."""
    from rich.live import Live

    path = f"/rollouts/{quote(name, safe='')}"
    revision = -1
    view: Any = None
    live = Live(console=console(), auto_refresh=False) if console().is_terminal and not as_json else None
    if live is not None:
        live.start()
    try:
        while True:
            view = control.get(path)
            if live is not None:
                live.update(picture(view, control.get(f"{path}/events", limit=EVENTS)["events"]), refresh=True)
            elif view["revision"] != revision:
                _tell(view, as_json=as_json)
            revision = view["revision"]
            if view["state"]["phase"] in ENDED:
                return str(view["state"]["phase"])
            time.sleep(every)
    finally:
        if live is not None:
            live.stop()


def _tell(view: Any, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(view, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    state = view["state"]
    last = (state["last"] or [""])[-1]
    say(f"{moment(view['updated_us'])} {state['phase']}, step {state['step']}: {last}")


def show_picture(view: Any, events: list[Any]) -> None:
    """Write the picture to stdout; in a pipe there is no width to fit into."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False).print(
        picture(as_decided(view, events), events)
    )


def as_decided(view: Any, events: list[Any]) -> Any:
    """Return the view of an ended rollout with what it was last decided on: replicas forget it with the next one."""
    if view["state"]["phase"] in ENDED:
        for event in events:
            decision = event["evidence"]["decision"]
            if decision["evidence"] is not None and decision["assessments"] is not None:
                return {**view, "evidence": decision["evidence"], "assessments": decision["assessments"]}
    return view


def picture(view: Any, events: list[Any]) -> RenderableType:
    """Return the whole picture."""
    from rich.console import Group
    from rich.text import Text

    return Group(
        Text(headline(view)),
        Text(steps(view)),
        Text(),
        guardrails(view),
        Text(),
        Text(counts(view)),
        *map(Text, outcomes(view)),
        *_events(events),
    )


def headline(view: Any) -> str:
    """Return one line: what, in which phase, at which share."""
    rollout, state = view["rollout"], view["state"]
    routing = state["routing"] or {"share": 0.0, "shadow_share": 0.0, "epoch": "-"}
    regions = f" in {', '.join(routing['regions'])}" if routing.get("regions") else ""
    return (
        f"{rollout['metadata']['name']} on {rollout['spec']['endpoint']}: "
        f"{state['champion']['version']} -> {state['challenger']['version']}  {state['phase'].upper()}  "
        f"share {100 * routing['share']:.3g} %{regions}, shadow {100 * routing['shadow_share']:.3g} %, "
        f"epoch {routing['epoch']}"
    )


def steps(view: Any) -> str:
    """Return the steps in one line, the one in force marked."""
    strategy, here = view["rollout"]["spec"]["strategy"], view["state"]["step"]
    if "blueGreen" in strategy:
        return "blue/green"
    names = [_step(step) for step in strategy["canary"]["steps"]]
    return "  ".join(f"[{name}]" if number == here else name for number, name in enumerate(names))


def _step(step: dict[str, Any]) -> str:
    [(name, value)] = step.items()
    if name == "setWeight":
        return f"{value:g} %"
    if name == "setCohort":
        return f"{value['maxUnits']} units"
    return f"pause {value['duration']}" if name == "pause" and "duration" in value else name


def guardrails(view: Any) -> Table:
    """Return a table with the evidence of each guardrail."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("guardrail", "champion", "challenger", "ratio", "harm, towards 1/alpha", "safe, towards 1/alpha"):
        table.add_column(column, no_wrap=True)
    for one in view["assessments"]["guardrails"]:
        ratio = "" if one["ratio"] is None else f"{one['ratio']:.2f}"
        harm, safe = bar(one["harm_log_e"], one["alpha_harm"]), bar(one["safe_log_e"], one["alpha_safe"])
        table.add_row(one["name"], f"{one['champion']:,}", f"{one['challenger']:,}", ratio, harm, safe)
        for slice_ in _shown_slices(one):
            table.add_row(*_slice(slice_, one))
        small = [slice_name(each) for each in one["slices"] if each["small"]]
        if small:
            more = f" and {len(small) - SLICES} more" if len(small) > SLICES else ""
            table.add_row(f"  too small to tell: {', '.join(small[:SLICES])}{more}")
    return table


def _shown_slices(guardrail: Any) -> list[Any]:
    """Return the slices that are harmed, and those nearest to it."""
    named = [one for one in guardrail["slices"] if one["harmful"]]
    others = [one for one in guardrail["slices"] if not one["harmful"] and not one["small"]]
    return named + others[: max(0, SLICES - len(named))]


def _slice(one: Any, guardrail: Any) -> tuple[str, ...]:
    ratio = "" if one["ratio"] is None else f"{one['ratio']:.2f}"
    alone = guardrail["alpha_harm"] / guardrail["slices_possible"]
    name = f"  {slice_name(one)}{'  HARMED' if one['harmful'] else ''}"
    bars = bar(one["harm_log_e"], alone), bar(one["safe_log_e"], guardrail["alpha_safe"])
    return (name, f"{one['champion']:,}", f"{one['challenger']:,}", ratio, *bars)


def slice_name(one: Any) -> str:
    """Return column and value, in words."""
    if one["value"] is not None:
        value = json.dumps(one["value"]) if isinstance(one["value"], bool) else one["value"]
        return f"{one['column']}={value}"
    return f"{one['column']}: {'all others' if one['other'] else 'missing'}"


def bar(log_e: float | None, alpha: float) -> str:
    """Return evidence as a bar that is full at 1 / alpha, and the e-value beside it."""
    if log_e is None:
        return "-"
    filled = round(WIDTH * min(1.0, max(0.0, log_e / -log(alpha))))
    value = f"{exp(log_e):.3g}" if log_e < log(1e6) else f"1e{log_e / log(10):.0f}"
    return f"{'█' * filled}{'░' * (WIDTH - filled)} {value} / {1 / alpha:.3g}"


def counts(view: Any) -> str:
    """Return how many units were compared, by how many replicas, and whether they fell as told."""
    found, known, cohort = view["assessments"], view["evidence"], view["state"]["cohort"]
    split = "REFUTED" if found["split_refuted"] else "as told"
    matched = " (matched)" if view["rollout"]["spec"].get("control") == "matched" else ""
    words = (
        f"units compared: champion{matched} {found['champion_units']:,}, challenger {found['challenger_units']:,}; "
        f"split {split}; replicas {known['replicas_reporting']} of {known['replicas_expected']}"
    )
    if known["replicas_behind"]:
        words += f", {known['replicas_behind']} behind"
    words += f"; {known['requests_per_second']:.3g} requests/s"
    recalibration = view["state"].get("recalibration")
    if recalibration is not None:
        rates = f"{recalibration['challenger_rate']:.3%} of pairs, the champion {recalibration['champion_rate']:.3%}"
        words += f"; decides at {recalibration['threshold']:.6g} ({rates})"
    if cohort is not None:
        words += f"; cohort {known['challenger_units']:,} of {cohort['max_units']:,} units"
    return words


def outcomes(view: Any) -> list[str]:
    """Return a line for each guardrail on outcomes: of how many units it is known what they were."""
    joined = view["evidence"]["outcomes"]
    if joined is None:
        return []
    lines = []
    for one in joined["guardrails"]:
        arms = ", ".join(
            f"{arm} {one[arm]['bad']:,} bad of {one[arm]['labelled']:,} known of {one[arm]['units']:,} units"
            for arm in ("champion", "challenger")
        )
        lines.append(f"outcomes for {one['name']}: {arms}")
    if joined["problem"] is not None:
        lines.append(f"outcomes: {joined['problem']}")
    return lines


def _events(events: list[Any]) -> list[RenderableType]:
    from rich.text import Text

    lines = []
    for event in events[:EVENTS]:
        said = event["evidence"]["decision"]
        lines.append(Text(f"{moment(event['at_us'])}  {event['kind'][8:]:<12} {event['verdict']:<12} {said['reason']}"))
    return [Text(), *lines] if lines else []


def print_plan(plan: Any) -> None:
    """Write what a rollout can find out."""
    rows: list[tuple[str, ...]] = []
    for one in plan["guardrails"]:
        rows += [(one["name"], f"harm of {need['ratio']:g} times is seen", *_need(need)) for need in one["harm"]]
        rows.append((one["name"], "an equally good challenger is shown safe", *_need(one["safe"])))
    show(("guardrail", f"{plan['name']}: until", "events", "challenger units", "hours"), rows)
    for one in plan["guardrails"]:
        if plan["cohort"] is None or one["safe_power"] is None:
            continue
        harm, margin = one["detectable_ratio"], one["certifiable_margin"]
        say(
            f"{one['name']}: {plan['cohort']:,} units at a base rate of {one['base_rate']:.3g} find "
            f"{'no harm' if harm is None else f'harm of {harm:.2f} times'} and show "
            f"{'no margin' if margin is None else f'a margin of {margin:.2f}'}; "
            f"the declared margin with probability {one['safe_power']:.0%}"
        )
    for remark in plan["remarks"]:
        say(remark)


def _need(need: Any) -> tuple[str, str, str]:
    hours = "" if need["hours"] is None else f"{need['hours']:.1f}"
    if need["units"] is None:
        return "more than anybody waits for", "", ""
    return f"{need['events']:,}", f"{need['units']:,}", hours
