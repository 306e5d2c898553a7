"""Outcomes over HTTP and from the command line, and rollouts that are decided by them."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pyarrow as pa
import pytest
from pyarrow import parquet

from fairlead.cli import app
from fairlead.errors import ControlError
from fairlead.rollout.replay import replay
from fairlead.schema.rollout import Rollout
from fairlead.schema.rollout_state import RolloutDecision, RolloutState
from tests.serverkit.bundles import sha256_of, signature, small_bundle
from tests.serverkit.control import ControlPlane
from tests.serverkit.models import Workshop
from tests.serverkit.rollouts import rollout
from tests.serverkit.simulated import SimulatedPlane
from tests.serverkit.waiting import until

_NAMES = (f"o{number}" for number in itertools.count(1))
StartControl = Callable[..., ControlPlane]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return next(_NAMES)


@pytest.fixture
def endpoint(control: ControlPlane, tmp_path: Path, name: str) -> str:
    """An endpoint whose champion decides `approve` or `decline`."""
    return staged(control, tmp_path, name)


def staged(control: ControlPlane, folder: Path, name: str, labels: tuple[Any, Any] = ("approve", "decline")) -> str:
    digests = []
    for model in (b"one", b"two"):
        bundle = small_bundle(folder / "bundles", name, model, wanted=signature(labels=labels))
        with control.client() as client:
            client.push(bundle)
        digests.append(sha256_of(bundle))
    control.http.put(f"/endpoints/{name}", json={"unit_key": "card"}).raise_for_status()
    control.http.put(f"/endpoints/{name}/roles/champion", json={"sha256": digests[0]}).raise_for_status()
    return name


def prediction(number: int) -> str:
    return str(UUID(int=number))


def tell(control: ControlPlane, name: str, *given: tuple[int, Any], **fields: Any) -> httpx.Response:
    rows = [{"prediction_id": prediction(number), "label": label, **fields} for number, label in given]
    return control.http.post(f"/endpoints/{name}/outcomes", json={"outcomes": rows})


def test_outcomes_are_kept_once_and_corrections_too(control: ControlPlane, endpoint: str) -> None:
    first = tell(control, endpoint, (1, "decline"), (2, "approve"))
    assert (first.status_code, first.json()) == (200, {"new": 2, "corrected": 0, "known": 0})
    again = tell(control, endpoint, (1, "decline"), (2, "decline"), (3, "approve"))
    assert again.json() == {"new": 1, "corrected": 1, "known": 1}
    found = control.get(f"/endpoints/{endpoint}/outcomes")
    assert [(one["revision"], one["label"], one["received_by"]) for one in found] == [
        (1, "decline", "local"),
        (1, "approve", "local"),
        (2, "decline", "local"),
        (1, "approve", "local"),
    ]
    assert [one["id"] for one in control.get(f"/endpoints/{endpoint}/outcomes", after=found[1]["id"])] == [
        one["id"] for one in found[2:]
    ]
    only = control.get(f"/endpoints/{endpoint}/outcomes", prediction_id=prediction(2))
    assert [one["revision"] for one in only] == [1, 2]


def test_sources_and_times(control: ControlPlane, endpoint: str) -> None:
    body = {
        "source": "chargebacks",
        "outcomes": [
            {"prediction_id": prediction(1).upper(), "label": "decline", "reported_at": "2026-03-01T12:00:00+01:00"},
            {"prediction_id": prediction(1), "label": "approve", "source": "analysts", "reported_at": "2026-03-01"},
        ],
    }
    control.http.post(f"/endpoints/{endpoint}/outcomes", json=body).raise_for_status()
    found = control.get(f"/endpoints/{endpoint}/outcomes")
    assert [(one["source"], one["reported_us"]) for one in found] == [
        ("chargebacks", 1_772_362_800_000_000),
        ("analysts", 1_772_323_200_000_000),
    ]


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        (
            {"label": "maybe"},
            "outcome_refused",
            "outcomes.1.label: expected one of ['approve', 'decline'], got 'maybe'",
        ),
        ({"label": True}, "outcome_refused", "got True"),
        ({"reported_at": "2999-01-01"}, "outcome_refused", "outcomes.1.reported_at: expected a time"),
        ({"reported_at": "1969-01-01"}, "outcome_refused", "outcomes.1.reported_at"),
        ({"reported_at": "soon"}, "invalid_request", "outcomes.1.reported_at"),
        ({"prediction_id": "no-uuid"}, "invalid_request", "outcomes.1.prediction_id"),
        ({"prediction_id": None}, "invalid_request", "outcomes.1.prediction_id"),
        ({"source": "a b"}, "invalid_request", "outcomes.1.source"),
        ({"label": None}, "invalid_request", "outcomes.1.label"),
        ({"label": "x" * 1_001}, "invalid_request", "at most 1000 characters"),
        ({"lable": "approve"}, "invalid_request", "outcomes.1.lable"),
    ],
)
def test_a_batch_with_one_bad_outcome_is_refused_whole(
    control: ControlPlane, endpoint: str, outcome: dict[str, Any], code: str, words: str
) -> None:
    good = {"prediction_id": prediction(1), "label": "approve"}
    answer = control.http.post(f"/endpoints/{endpoint}/outcomes", json={"outcomes": [good, good | outcome]})
    body = answer.json()
    assert (answer.status_code, body["code"]) == (422, code), body
    assert words in body["error"]
    assert body["details"]
    assert control.get(f"/endpoints/{endpoint}/outcomes") == []


def test_too_many_none_and_nobody(control: ControlPlane, endpoint: str) -> None:
    one = {"prediction_id": prediction(1), "label": "maybe"}
    for rows in ([], [one] * 10_001):
        answer = control.http.post(f"/endpoints/{endpoint}/outcomes", json={"outcomes": rows})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    wrong = control.http.post(f"/endpoints/{endpoint}/outcomes", json={"outcomes": [one] * 500}).json()
    assert len(wrong["details"]) == 100
    assert tell(control, "nobody", (1, "approve")).json()["code"] == "endpoint_unknown"
    control.http.put(f"/endpoints/{endpoint}-empty", json={}).raise_for_status()
    assert tell(control, f"{endpoint}-empty", (1, "approve")).json()["code"] == "role_vacant"


def test_a_label_may_come_as_its_text(control: ControlPlane, tmp_path: Path, name: str) -> None:
    staged(control, tmp_path, name, labels=(False, True))
    assert tell(control, name, (1, "true"), (2, False), (1, True)).json() == {"new": 2, "corrected": 0, "known": 1}
    assert tell(control, name, (3, 1)).json()["code"] == "outcome_refused"


def test_a_viewer_may_look_and_not_tell(start_control: StartControl, tmp_path: Path) -> None:
    control = start_control()
    staged(control, tmp_path, "fraud")
    keys: dict[str, str] = {}
    for role in ("viewer", "operator"):
        headers = {"Authorization": f"Bearer {keys['root']}"} if keys else {}
        if not keys:
            keys["root"] = control.http.post("/keys", json={"name": "root", "role": "admin"}).json()["key"]
            headers = {"Authorization": f"Bearer {keys['root']}"}
        keys[role] = control.http.post("/keys", json={"name": role, "role": role}, headers=headers).json()["key"]
    row = {"prediction_id": prediction(1), "label": "approve"}
    with control.client(keys["viewer"]) as client, pytest.raises(ControlError) as caught:
        client.add_outcomes("fraud", [row])
    assert caught.value.code == "forbidden"
    with control.client(keys["operator"]) as client:
        assert client.add_outcomes("fraud", [row] * 5_001, source="a") == {"new": 1, "corrected": 0, "known": 5_000}
    with control.client(keys["viewer"]) as client:
        [kept] = client.get("/endpoints/fraud/outcomes")
    assert (kept["received_by"], kept["source"]) == ("operator", "a")


# ------------------------------------------------------------------ the command line


@pytest.fixture
def run(control: ControlPlane, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process; gives exit code, stdout and stderr."""
    monkeypatch.setenv("FAIRLEAD_URL", control.url)

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = app.run(arguments)
        return (code, *capsys.readouterr())

    return command


def test_outcomes_from_the_command_line(run: Run, endpoint: str, tmp_path: Path) -> None:
    one = ("outcome", "add", endpoint, "--prediction-id", prediction(1), "--label", "decline")
    assert run(*one)[0::2] == (0, "1 new, 0 corrected, 0 known already\n")
    assert json.loads(run(*one, "--json")[1]) == {"new": 0, "corrected": 0, "known": 1}
    rows = [{"prediction_id": prediction(n), "label": "approve", "reported_at": "2026-03-01"} for n in range(2, 5)]
    csv = tmp_path / "more.csv"
    csv.write_text("".join(["prediction_id,label,amount\n", *(f"{prediction(n)},approve,5\n" for n in range(2, 5))]))
    lines = tmp_path / "more.jsonl"
    lines.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    table = tmp_path / "more.parquet"
    parquet.write_table(
        pa.Table.from_pylist([{**rows[0], "prediction_id": prediction(9), "source": "x"}, *rows]), table
    )
    for file, words in ((csv, "3 new"), (lines, "3 known"), (table, "1 new, 0 corrected, 3 known")):
        code, _, err = run("outcome", "add", endpoint, "--file", str(file))
        assert (code, words in err) == (0, True), err
    assert "prediction" in run("outcome", "list", endpoint)[1]
    [found] = json.loads(run("outcome", "list", endpoint, "--prediction-id", prediction(9), "--json")[1])
    assert (found["source"], found["label"]) == ("x", "approve")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("a.csv", "prediction_id,lable\n", "no column label; there are prediction_id, lable"),
        ("a.csv", "", "no column prediction_id, label; there are none"),
        ("a.csv", "prediction_id,label\nx,\n", "a.csv:2: label: expected a value"),
        ("a.jsonl", '{"prediction_id": "x", "label": 1}\n{"pre', "a.jsonl:2: no JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: expected an object, got list"),
        ("a.parquet", "nothing of the kind", "no Parquet file"),
        ("a.xls", "", "expected one of .csv, .parquet, .jsonl"),
        (None, "", "cannot read"),
    ],
)
def test_files_that_hold_no_outcomes_are_refused(
    run: Run, tmp_path: Path, file: str | None, content: str, words: str
) -> None:
    path = tmp_path / (file or "nowhere.csv")
    if file is not None:
        path.write_text(content)
    code, _, err = run("outcome", "add", "fraud", "--file", str(path))
    assert code == 2
    assert words in err


def test_an_outcome_is_a_file_or_two_options(run: Run) -> None:
    assert run("outcome", "add", "fraud", "--label", "1")[0] == 2
    assert run("outcome", "add", "fraud", "--label", "1", "--file", "x.csv")[0] == 2


# ------------------------------------------------------------------ rollouts

WRONG: dict[str, Any] = {
    "name": "wrong",
    "kind": "outcome",
    "metric": "errors",
    "margin": {"ratio": 2},
    "labels": {"delay": "1s"},
}
UNTIL_PROVEN: list[dict[str, Any]] = [{"setWeight": 50}, {"analysis": {"until": {"proven": ["wrong"]}}}]


def document(name: str, **spec: Any) -> dict[str, Any]:
    made = rollout(*UNTIL_PROVEN, endpoint=name, **({"guardrails": [WRONG]} | spec))
    wanted: dict[str, Any] = made.model_dump(mode="json")
    wanted["metadata"]["name"] = "next"
    return wanted


def shown(control: ControlPlane) -> Any:
    return control.get("/rollouts/next")


def ended(control: ControlPlane) -> Any:
    def found() -> Any:
        view = shown(control)
        return view if view["state"]["phase"] not in ("progressing", "paused") else None

    return until(found, "the rollout ends by itself", seconds=60, every=0.2)


class Traffic:
    """Units that ask a real data plane, and what was right: the decision, but where the variant is `wrong`."""

    def __init__(self, control: ControlPlane, models: Workshop, wrong: dict[str, float]) -> None:
        self._control, self._records, self._wrong = control, models.binary.records, wrong
        self._random = random.Random(4)
        self.outcomes: list[dict[str, Any]] = []

    def ask(self, units: list[str], **headers: str) -> list[dict[str, Any]]:
        records = [{**self._records[n % len(self._records)], "card": unit} for n, unit in enumerate(units)]
        url = f"{self._control.addresses['data_url']}/v1/endpoints/risk:predict"
        answer = httpx.post(url, json={"records": records}, headers=headers, trust_env=False, timeout=30)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        return [{"variant": body["variant"], **one} for one in body["predictions"]]

    def live(self, units: list[str]) -> None:
        """Ask, and learn what was right."""
        for one in self.ask(units):
            right = self._random.random() >= self._wrong[one["variant"]]
            label = one["decision"] if right else 1 - one["decision"]
            self.outcomes.append({"prediction_id": one["prediction_id"], "label": label})


def real(control: ControlPlane, models: Workshop) -> None:
    with control.client() as client:
        digests = [client.push(model.bundle)["sha256"] for model in (models.binary, models.successor)]
        client.put("/endpoints/risk", {"unit_key": "card"})
        client.put("/endpoints/risk/roles/champion", {"sha256": digests[0]})


def begun(control: ControlPlane, models: Workshop, wrong: dict[str, float]) -> Traffic:
    """A rollout whose challenger answers half of the units, and 2,000 units that have asked."""
    real(control, models)
    wanted = document("risk", challenger={"bundle": models.successor.sha256})
    control.http.put("/rollouts", json=wanted).raise_for_status()
    traffic = Traffic(control, models, wrong)

    def divided() -> bool:
        try:
            return len({one["variant"] for one in traffic.ask([f"early-{n}" for n in range(40)])}) == 2
        except (AssertionError, httpx.HTTPError):
            return False

    until(divided, "both versions answer", seconds=60)
    for begin in range(0, 2_000, 250):
        traffic.live([f"card-{n}" for n in range(begin, begin + 250)])
    return traffic


@pytest.mark.timeout(150)
def test_a_challenger_that_turns_out_wrong_more_often_is_rolled_back(
    start_control: StartControl, models: Workshop, database_url: str
) -> None:
    control = start_control("--data-port", "0", database_url=database_url)
    traffic = begun(control, models, {"champion": 0.1, "challenger": 0.3})
    # Testers, who ask for the challenger by name and are all badly served; and the same units once more.
    testers = traffic.ask([f"tester-{n}" for n in range(200)], **{"Fairlead-Variant": "challenger"})
    again = traffic.ask([f"card-{n}" for n in range(200)])
    bad = [{"prediction_id": one["prediction_id"], "label": 1 - one["decision"]} for one in (*testers, *again)]
    with control.client() as client:
        assert client.add_outcomes("risk", bad)["new"] == 400
        assert client.add_outcomes("risk", traffic.outcomes)["new"] == 2_000
        assert client.add_outcomes("risk", traffic.outcomes)["known"] == 2_000
    view = ended(control)
    assert view["state"]["phase"] == "rolled_back", view
    assert view["state"]["last"][2] == "harm is shown: wrong"
    [rolled_back] = [one for one in control.get("/rollouts/next/events")["events"] if one["verdict"] == "fail"]
    kept = rolled_back["evidence"]
    said = RolloutDecision.model_validate(kept["decision"])
    before = RolloutState.model_validate(kept["before"])
    assert replay(Rollout.model_validate(kept["rollout"]), before, said) == said
    assert said.evidence is not None
    assert said.evidence.outcomes is not None
    [counts] = said.evidence.outcomes.guardrails
    # Testers whose hash is the challenger's cannot be told from others; the rest of them is out.
    assert counts.champion.labelled + counts.challenger.labelled <= 2_000 + 200
    assert counts.challenger.bad / counts.challenger.labelled < 0.5
    assert control.stop() == 0


@pytest.mark.timeout(150)
def test_a_challenger_that_is_shown_safe_is_promoted_also_after_a_restart(
    start_control: StartControl, models: Workshop
) -> None:
    control = start_control("--data-port", "0")
    traffic = begun(control, models, {"champion": 0.3, "challenger": 0.3})
    with control.client() as client:
        client.add_outcomes("risk", traffic.outcomes[:1_000])
    assert control.stop() == 0
    # Outcomes come while it is away from the data plane's log: whoever leads next reads all of it again.
    control = start_control("--data-port", "0")
    with control.client() as client:
        client.add_outcomes("risk", traffic.outcomes[1_000:])
    view = ended(control)
    assert view["state"]["phase"] == "promoted", view
    assert control.stop() == 0


@pytest.mark.timeout(90)
def test_a_log_that_cannot_be_read_holds_and_says_so(start_control: StartControl, tmp_path: Path) -> None:
    log = tmp_path / "elsewhere"
    control = start_control("--prediction-log", f"eu={log}")
    staged(control, tmp_path, "fraud")
    plane = SimulatedPlane(control.http, "fraud")
    plane.live(500)
    control.http.put("/rollouts", json=document("fraud")).raise_for_status()

    def last() -> Any:
        plane.live(200)
        return shown(control)["state"]["last"]

    wanted = ["hold", "error", f"the prediction log cannot be read: no prediction log at {log}"]
    until(lambda: last() == wanted, "it holds", seconds=30, every=0.2)
    log.mkdir()
    until(lambda: last() == ["hold", "inconclusive", "not yet shown safe: wrong"], "it goes on", seconds=30, every=0.2)
    (log / "fraud").mkdir()
    (log / "fraud" / "1.arrow").write_bytes(b"\xff\xff\xff\xff\x10\x00\x00\x00 no message of Arrow's")
    until(lambda: last()[1] == "error" and "damaged" in last()[2], "it holds again", seconds=30, every=0.2)


@pytest.mark.parametrize(
    ("settings", "changes", "words"),
    [
        ({"durability": "none"}, {}, "writes no prediction log"),
        ({}, {}, "knows no prediction log"),
    ],
)
def test_without_a_log_it_does_not_start(
    control: ControlPlane, endpoint: str, settings: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    control.http.put(f"/endpoints/{endpoint}", json={"unit_key": "card", **settings}).raise_for_status()
    answer = control.http.put("/rollouts", json=document(endpoint, **changes))
    assert (answer.status_code, answer.json()["code"]) == (409, "rollout_refused")
    assert words in answer.json()["error"]
