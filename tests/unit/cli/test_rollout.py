"""What the command line makes of rollouts: errors with file, line and field, and the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fairlead.cli.documents import read_rollouts
from fairlead.cli.rollout_view import as_decided, bar, picture, print_plan
from fairlead.errors import BadInputError
from fairlead.rollout.assessment import assess
from fairlead.schema.outcome_evidence import OutcomeArm, OutcomeCounts, OutcomeEvents, OutcomeEvidence
from fairlead.schema.rollout_state import Recalibration, RolloutView, SliceArm, SliceEvidence
from tests.serverkit.outcomes import outcome_rollout
from tests.serverkit.rollouts import START, alike, arm, begun, counted, evidence, rollout

GOOD = """\
apiVersion: fairlead.dev/v1
kind: Rollout
metadata: {name: fraud-2}
spec:
  endpoint: fraud
  challenger: {version: "2"}
  guardrails:
  - {name: errors, kind: rate, margin: {ratio: 1.5}}
  strategy:
    canary:
      steps:
      - setWeight: 5
      - pause: {duration: 10m}
      - analysis:
          until: {proven: [errors]}
"""


def read(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "rollout.yaml"
    path.write_text(text)
    return read_rollouts(path)


def test_a_file_may_hold_several(tmp_path: Path) -> None:
    found = read(tmp_path, f"{GOOD}---\n{GOOD.replace('fraud-2', 'fraud-3')}---\n")
    assert [one.name for one in found] == ["fraud-2", "fraud-3"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("setWeight: 5", "setweight: 5", ":12: spec.strategy.canary.steps[0].setweight: there is no such field"),
        ("setWeight: 5", "setWeight: 500", ":12: spec.strategy.canary.steps[0].setWeight: "),
        ("duration: 10m", "duration: soon", ":13: spec.strategy.canary.steps[1].pause.duration: 'soon' is no duration"),
        ("ratio: 1.5", "ratio: x", ":8: spec.guardrails[0].margin.ratio: "),
        ("endpoint: fraud", "endpoint: 'a b'", ":5: spec.endpoint: "),
        ("kind: Rollout", "kind: Canary", ":2: kind: expected Rollout, got 'Canary'"),
        ("proven: [errors]", "proven: [nobody]", ":4: spec: step 2: no guardrail 'nobody'"),
        ("  endpoint: fraud\n", "", ":4: spec.endpoint: Field required"),
        ("metadata: {name: fraud-2}", "metadata: {name: fraud-2", ": no YAML"),
    ],
)
def test_an_error_names_file_line_and_field(tmp_path: Path, before: str, after: str, words: str) -> None:
    assert before in GOOD
    with pytest.raises(BadInputError) as caught:
        read(tmp_path, GOOD.replace(before, after))
    assert words in caught.value.message
    assert "rollout.yaml:" in caught.value.message


def test_an_empty_file_and_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="is empty"):
        read(tmp_path, "# nothing\n")
    with pytest.raises(BadInputError, match="cannot read"):
        read_rollouts(tmp_path / "absent.yaml")


def test_evidence_is_a_bar_towards_one_over_alpha() -> None:
    assert bar(None, 0.05) == "-"
    assert bar(-3.0, 0.05).startswith("░" * 20)
    assert bar(3.0, 0.05).startswith("█" * 20)
    assert bar(1.5, 0.05).count("█") == 10
    assert bar(1_000.0, 0.05).endswith("1e434 / 20")


def test_the_picture_shows_phase_steps_counts_and_evidence() -> None:
    document = rollout({"setWeight": 50}, {"pause": {"duration": "10m"}}, {"setCohort": {"maxUnits": 9}})
    found = Recalibration(threshold=0.73, pairs=2_000, champion_rate=0.01, challenger_rate=0.0105, uncorrected_rate=0.2)
    state = begun(document).model_copy(update={"recalibration": found})
    known = alike(state, 10_000)
    view = RolloutView(
        rollout=document,
        state=state,
        evidence=known,
        assessments=assess(document, state, known),
        revision=1,
        created_us=START,
        created_by="me",
        updated_us=START,
    ).model_dump(mode="json")
    events = [
        {
            "at_us": START,
            "kind": "rollout.started",
            "verdict": "inconclusive",
            "evidence": {"decision": {"reason": "started"}},
        }
    ]
    console = Console(width=160, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(picture(view, events))
    text = captured.get()
    assert "decides at 0.73 (1.050% of pairs, the champion 1.000%)" in " ".join(text.split())
    for words in ("1 -> 2", "PROGRESSING", "[50 %]", "pause 10m", "9 units", "errors", "split as told", "started"):
        assert words in text


def test_the_picture_names_slices_that_are_harmed_and_those_too_small_to_tell() -> None:
    guardrail = {"name": "by", "kind": "rate", "by": ["country", "member"]}
    document = rollout({"setWeight": 50}, {"pause": {}}, guardrails=[guardrail], control="matched")
    state = begun(document)
    arms = [SliceArm(units=units, errors=errors) for units, errors in ((900, 10), (900, 90), (20, 1))]
    slices = [
        SliceEvidence(column="country", value="SE", champion=arms[0], challenger=arms[1]),
        SliceEvidence(column="country", other=True, champion=arms[0], challenger=arms[0]),
        SliceEvidence(column="member", value=True, champion=arms[2], challenger=arms[2]),
        SliceEvidence(column="member", champion=arms[2], challenger=arms[2]),
    ]
    known = evidence(counted(2, arm(1_840), arm(1_840), slices=slices))
    view = RolloutView(
        rollout=document,
        state=state,
        evidence=known,
        assessments=assess(document, state, known),
        revision=1,
        created_us=START,
        created_by="me",
        updated_us=START,
    ).model_dump(mode="json")
    console = Console(width=160)
    with console.capture() as captured:
        console.print(picture(view, []))
    text = captured.get()
    for words in ("country=SE  HARMED", "country: all others", "too small to tell: ", "member=true", "member: missing"):
        assert words in text
    assert "champion (matched)" in text


def test_a_plan_is_a_table_and_remarks(capsys: pytest.CaptureFixture[str]) -> None:
    need = {"ratio": 2.0, "events": 98, "median_events": 60, "units": 3_267, "hours": 6.5}
    never = {"ratio": 1.0, "events": None, "median_events": None, "units": None, "hours": None}
    guardrail = {"name": "errors", "base_rate": 0.01, "harm": [need], "safe": never, "safe_power": 0.02}
    guardrail |= {"detectable_ratio": 3.1, "certifiable_margin": None}
    print_plan({"name": "fraud-2", "cohort": 1_000, "guardrails": [guardrail], "remarks": ["think"]})
    told = capsys.readouterr()
    assert "3,267" in told.out
    assert "1,000 units at a base rate of 0.01 find harm of 3.10 times and show no margin" in told.err
    assert "think" in told.err


def test_guardrails_on_outcomes_show_how_much_is_known() -> None:
    document = outcome_rollout()
    state = begun(document)
    counts = OutcomeCounts(
        name="fp",
        champion=OutcomeArm(units=1_000, labelled=400, bad=20),
        challenger=OutcomeArm(units=990, labelled=390, bad=31),
        events=[OutcomeEvents(step=0, events=51, challenger=31)],
    )
    joined = OutcomeEvidence(as_of_us=START, problem="the prediction log is still being read", guardrails=[counts])
    evidence = alike(state).model_copy(update={"outcomes": joined})
    view = RolloutView(
        rollout=document,
        state=state,
        evidence=evidence,
        assessments=assess(document, state, evidence),
        revision=1,
        created_us=START,
        created_by="me",
        updated_us=START,
    )
    console = Console(record=True, width=160)
    console.print(picture(view.model_dump(mode="json"), []))
    shown = console.export_text()
    assert "outcomes for fp: champion 20 bad of 400 known of 1,000 units, challenger 31 bad of 390 known" in shown
    assert "outcomes: the prediction log is still being read" in shown
    row = next(line for line in shown.splitlines() if line.startswith("fp "))
    assert row.split()[1:4] == ["20", "31", "1.54"]


def test_an_ended_rollout_is_shown_with_what_it_was_decided_on() -> None:
    forgotten = {"state": {"phase": "rolled_back"}, "evidence": "none", "assessments": "none"}
    events = [
        {"evidence": {"decision": {"evidence": None, "assessments": None}}},  # a person's command
        {"evidence": {"decision": {"evidence": "newer", "assessments": "harm"}}},
        {"evidence": {"decision": {"evidence": "older", "assessments": "none yet"}}},
    ]
    shown = as_decided(forgotten, events)
    assert (shown["evidence"], shown["assessments"]) == ("newer", "harm")
    running = {**forgotten, "state": {"phase": "progressing"}}
    assert as_decided(running, events) == running
    assert as_decided(forgotten, events[:1]) == forgotten


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"cannot read .*/nothing\.yaml: No such file or directory$"):
        read_rollouts(tmp_path / "nothing.yaml")
    with pytest.raises(BadInputError, match=r"Is a directory$"):
        read_rollouts(tmp_path)
