"""`fairlead rollout`: look at rollouts, and act on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from fairlead.cli.output import emit_json, say
from fairlead.cli.remote import DEFAULT_URL, AsJson, Key, Url, connect, show

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="From champion to challenger, with guarantees.")

Name = Annotated[str, typer.Argument(help="Name of the rollout.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the decision.")]
ENDED_BADLY = ("rolled_back", "undone")


@app.command("start")
def start(name: Name, reason: Reason = "", url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """Start an ended rollout again: other units, evidence from nothing.

    Example: fairlead rollout start fraud-2
    """
    _act(name, "start", reason, (url, key, json))


@app.command("list")
def listed(url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """List the rollouts.

    Example: fairlead rollout list
    """
    with connect(url, key) as control:
        found = control.get("/rollouts")
    if json:
        emit_json(found)
        return
    show(
        ("rollout", "endpoint", "challenger", "phase", "step", "share", "last decision"),
        [
            (
                one["rollout"]["metadata"]["name"],
                one["rollout"]["spec"]["endpoint"],
                one["state"]["challenger"]["version"],
                one["state"]["phase"],
                one["state"]["step"],
                _share(one),
                (one["state"]["last"] or [""])[-1],
            )
            for one in found
        ],
    )


@app.command("show")
def shown(name: Name, url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """Show a rollout, its counts, its evidence and its last decisions.

    Exit code 1 where it was rolled back.

    Example: fairlead rollout show fraud-2 --json
    """
    with connect(url, key) as control:
        view = control.get(f"/rollouts/{_quoted(name)}")
        events = control.get(f"/rollouts/{_quoted(name)}/events", limit=8)["events"]
    if json:
        emit_json(view)
    else:
        from fairlead.cli.rollout_view import show_picture

        show_picture(view, events)
    if view["state"]["phase"] in ENDED_BADLY:
        raise typer.Exit(1)


@app.command("watch")
def watch(
    name: Name,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between looks.")] = 1.0,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """Watch a rollout until it ends; with --json, one line for each change.

    Exit code 0 where it was promoted, else 1.

    Example: fairlead rollout watch fraud-2
    """
    from fairlead.cli.rollout_view import follow

    with connect(url, key) as control:
        phase = follow(control, name, every, as_json=json)
    if phase in ENDED_BADLY:
        raise typer.Exit(1)


@app.command("pause")
def pause(name: Name, reason: Reason = "", url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """Stop going on; guardrails are still watched.

    Example: fairlead rollout pause fraud-2 --reason "incident 17"
    """
    _act(name, "pause", reason, (url, key, json))


@app.command("resume")
def resume(name: Name, reason: Reason = "", url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """Go on: end a pause, or overrule what holds it (takes an approver).

    Example: fairlead rollout resume fraud-2
    """
    _act(name, "resume", reason, (url, key, json))


@app.command("promote")
def promote(name: Name, reason: Reason = "", url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """Make the challenger champion now, whatever steps are left; not past an approval.

    Example: fairlead rollout promote fraud-2 --reason "the fraud wave cannot wait"
    """
    _act(name, "promote", reason, (url, key, json))


@app.command("abort")
def abort(name: Name, reason: Reason = "", url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """End it without promotion: no traffic for the challenger from now on.

    Example: fairlead rollout abort fraud-2 --reason "wrong training set"
    """
    _act(name, "abort", reason, (url, key, json))


@app.command("undo")
def undo(name: Name, reason: Reason = "", url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """Put the former champion back, after a promotion.

    Example: fairlead rollout undo fraud-2 --reason "complaints"
    """
    _act(name, "undo", reason, (url, key, json))


@app.command("approve")
def approve(name: Name, reason: Reason = "", url: Url = DEFAULT_URL, key: Key = None, json: AsJson = False) -> None:
    """Say yes to the step in force, which asks for an approval.

    Example: fairlead rollout approve fraud-2 --reason "seen by risk"
    """
    _act(name, "approve", reason, (url, key, json))


@app.command("plan")
def plan(
    file: Annotated[Path, typer.Option("--file", "-f", help="The rollout's document; it need not be applied.")],
    base_rate: Annotated[float | None, typer.Option(help="Bad outcomes per unit; default: as counted.")] = None,
    units_per_hour: Annotated[float | None, typer.Option(help="New units in an hour; default: as counted.")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """Say what a rollout can find out, before it starts: units and hours until harm is seen or safety is shown.

    Example: fairlead rollout plan -f rollout.yaml --base-rate 0.01
    """
    from fairlead.cli.documents import read_rollouts
    from fairlead.cli.rollout_view import print_plan

    answers = []
    with connect(url, key) as control:
        for document in read_rollouts(file):
            asked = {"base_rate": base_rate, "units_per_hour": units_per_hour}
            given = "&".join(f"{name}={value}" for name, value in asked.items() if value is not None)
            answers.append(control.post(f"/rollouts/plan?{given}", document.model_dump(mode="json")))
    if json:
        emit_json(answers)
        return
    for answer in answers:
        print_plan(answer)


def _act(name: str, command: str, reason: str, where: tuple[str, str | None, bool]) -> None:
    url, key, json = where
    with connect(url, key) as control:
        view = control.post(f"/rollouts/{_quoted(name)}/{command}", {"reason": reason})
    if json:
        emit_json(view)
        return
    state = view["state"]
    say(f"rollout {name}: {state['phase']}, step {state['step']}, share {_share(view)}")


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _share(view: Any) -> str:
    routing = view["state"]["routing"]
    return "0 %" if routing is None else f"{100 * routing['share']:.3g} %"
