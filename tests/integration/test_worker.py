"""The worker's protocol, spoken to a real process."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fairlead.bundle import open_bundle, pack_model, verify
from fairlead.bundle.frames import Frame, decode_tensors, encode_tensors, read_frame, write_frame
from fairlead.schema.signature import TensorSpec

MODULE = '''
import sys

import numpy as np


def score(batch):
    """Asks for trouble where the amount says so."""
    worst = float(np.max(batch["amount"]))
    print("a model may print")
    if worst == 1001:
        raise ValueError("amount of 1001\\nsecond line")
    if worst == 1002:
        sys.exit(3)
    if worst == 1003:
        return np.zeros(len(batch["amount"]) + 1)
    if worst == 1004:
        return {"other": batch["amount"]}
    if worst == 1005:
        np.ones(1 << 30)
    if worst == 1006:
        return np.array([sys.stdin.read()] * len(batch["amount"]), dtype=object)
    known = np.array([country is not None for country in batch["country"]])
    return batch["amount"] / 1000 * known
'''
INPUTS = [
    TensorSpec(name="amount", datatype="FP64", shape=[-1]),
    TensorSpec(name="country", datatype="BYTES", shape=[-1]),
]
Process = subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("callable")
    (folder / "trouble.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        data = {"amount": np.linspace(1, 999, 50), "country": np.array([None, "de"] * 25, dtype=object)}
        return pack_model("trouble:score", name="trouble", data=data, out=folder / "out").path


@contextmanager
def worker(bundle: Path, *arguments: str, **environment: str) -> Iterator[Process]:
    home = str(Path(__file__).parents[2] / "python")
    process = subprocess.Popen(
        [sys.executable, "-m", "fairlead.worker", "--bundle", str(bundle), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=bundle.parent.parent.parent,
        env={"PATH": "", "PYTHONPATH": home, **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def stdin(process: Process) -> io.BufferedWriter:
    assert isinstance(process.stdin, io.BufferedWriter)
    return process.stdin


def stdout(process: Process) -> io.BufferedReader:
    assert isinstance(process.stdout, io.BufferedReader)
    return process.stdout


def heard(process: Process) -> Frame:
    """The next frame of a worker that has one to give."""
    frame = read_frame(stdout(process))
    assert frame is not None
    return frame


def ask(process: Process, amounts: Sequence[float], countries: Sequence[str] | None = None, number: int = 1) -> Frame:
    countries = ["de"] * len(amounts) if countries is None else countries
    inputs = {"amount": np.array(amounts, dtype=float), "country": np.array(countries, dtype=object)}
    headers, body = encode_tensors(inputs, INPUTS)
    write_frame(stdin(process), Frame({"id": number, "inputs": headers}, body))
    reply = heard(process)
    assert reply.header["id"] == number
    return reply


def test_it_says_ready_answers_and_ends_with_its_stdin(bundle: Path) -> None:
    with worker(bundle) as process:
        assert heard(process).header == {"ready": True, "pid": process.pid}
        for number in (1, 2):
            reply = ask(process, [10, 20], ["de", ""], number)
            outputs = decode_tensors(reply.header["outputs"], reply.body)
            np.testing.assert_allclose(outputs["prediction"], [0.01, 0.0])
        stdin(process).close()
        assert process.wait(10) == 0
        assert read_frame(stdout(process)) is None


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (1001, "ValueError: amount of 1001"),
        (1002, "SystemExit: 3"),
        (1003, "ValueError: output 'prediction': 2 rows for a batch of 1"),
        (1004, "ValueError: the model gave no output 'prediction', only ['other']"),
        (1006, "ValueError: output 'prediction': object where FP64 is promised"),
    ],
)
def test_a_failing_batch_is_a_reply_and_the_next_is_answered(bundle: Path, amount: float, words: str) -> None:
    with worker(bundle) as process:
        read_frame(stdout(process))
        assert ask(process, [amount]).header == {"id": 1, "error": words}
        assert "outputs" in ask(process, [1], number=2).header


def test_the_traceback_goes_to_stderr(bundle: Path) -> None:
    with worker(bundle) as process:
        read_frame(stdout(process))
        ask(process, [1001])
        _, talk = process.communicate(timeout=10)
    assert b"Traceback" in talk
    assert b"second line" in talk
    assert b"a model may print" in talk


def test_too_much_memory_is_a_reply_and_the_next_is_answered(bundle: Path) -> None:
    with worker(bundle, FAIRLEAD_WORKER_MEMORY_MB="256") as process:
        read_frame(stdout(process))
        assert "MemoryError" in ask(process, [1005]).header["error"]
        assert "outputs" in ask(process, [1], number=2).header


def test_ctrl_c_is_left_to_the_parent(bundle: Path) -> None:
    with worker(bundle) as process:
        read_frame(stdout(process))
        process.send_signal(signal.SIGINT)
        assert "outputs" in ask(process, [1]).header


def test_missing_inputs_are_an_error_reply(bundle: Path) -> None:
    with worker(bundle) as process:
        read_frame(stdout(process))
        write_frame(stdin(process), Frame({"id": 5, "inputs": []}))
        assert heard(process).header == {
            "id": 5,
            "error": "FrameError: the request has no input 'amount'",
        }


def test_a_stream_that_is_no_frames_ends_it_with_1(bundle: Path) -> None:
    with worker(bundle) as process:
        read_frame(stdout(process))
        stdin(process).write(b"\xff" * 7)
        stdin(process).close()
        assert process.wait(10) == 1


def refused(bundle: Path, *arguments: str) -> dict[str, str]:
    with worker(bundle, *arguments) as process:
        reply = heard(process)
        assert process.wait(10) == 1
    return dict(reply.header)


def test_a_changed_bundle_is_refused_and_the_file_named(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "a" / "b" / bundle.name))
    code = copy / "code" / "trouble.py"
    code.write_text(code.read_text() + "\n")
    error = refused(copy)
    assert error["code"] == "bundle_corrupt"
    assert "code/trouble.py" in error["error"]


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert refused(tmp_path / "a" / "b")["code"] == "bundle_corrupt"


def test_a_pickle_is_refused_without_trust(tmp_path: Path) -> None:
    from sklearn.ensemble import IsolationForest

    numbers = np.random.default_rng(1).normal(size=(100, 2))
    data = {"amount": numbers[:, 0], "age": numbers[:, 1]}
    forest = IsolationForest(n_estimators=5, random_state=1).fit(numbers)
    path = pack_model(forest, name="odd", data=data, out=tmp_path / "a" / "b").path
    assert open_bundle(path).manifest.requires_trust
    assert refused(path)["code"] == "bundle_untrusted"
    with worker(path, "--trust-pickle") as process:
        assert heard(process).header["ready"] is True


def test_running_a_bundle_adds_no_file_to_it(bundle: Path) -> None:
    with worker(bundle) as process:
        read_frame(stdout(process))
        ask(process, [1])
    open_bundle(bundle).predictor().predict([{"amount": 1.0, "country": None}])
    assert verify(bundle) == []
