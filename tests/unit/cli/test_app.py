"""The command line's manners: messages, exit codes, what is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import fairlead
from fairlead.cli import app
from fairlead.errors import BadInputError, BundleError, EndpointError


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make `fairlead act` a command that calls the given function."""

    def install(action: Any) -> None:
        def act(name: str = "x") -> None:
            """Act."""
            action(name)

        module = ModuleType("fake_command")
        module.act = act  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fake_command", module)
        monkeypatch.setattr(app, "COMMANDS", {"act": "fake_command:act"})

    return install


def raises(error: BaseException) -> Any:
    def action(_: str) -> None:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code", "stderr"),
    [
        (BadInputError("no column 'x' in s.parquet"), 2, "error: no column 'x' in s.parquet\n"),
        (BundleError("it is torn", hint="pack again"), 1, "error: it is torn\nhint: pack again\n"),
        (EndpointError("queue is full", code="queue_full", status=429), 1, "error: queue is full\n"),
        (typer.Exit(3), 3, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_a_command_raises_becomes_a_message_and_an_exit_code(
    command: Any, capsys: Any, error: BaseException, code: int, stderr: str
) -> None:
    command(raises(error))
    assert app.run(["act"]) == code
    assert capsys.readouterr() == ("", stderr)


def test_a_command_that_returns_exits_with_0(command: Any, capsys: Any) -> None:
    command(lambda name: print(f"hello {name}"))
    assert app.run(["act", "--name", "y"]) == 0
    assert capsys.readouterr() == ("hello y\n", "")


@pytest.mark.parametrize(
    ("arguments", "stderr"),
    [
        (["akt"], "error: no command 'akt'\nhint: did you mean `fairlead act`?\n"),
        (["zzz"], "error: no command 'zzz'\nhint: `fairlead --help` lists the commands\n"),
        (
            ["act", "--nam"],
            "error: No such option: --nam (Possible options: --name)\nhint: see `fairlead act --help`\n",
        ),
        (["act", "extra"], "error: Got unexpected extra argument(s) (extra)\nhint: see `fairlead act --help`\n"),
        (["--nope"], "error: No such option: --nope\nhint: see `fairlead --help`\n"),
    ],
)
def test_wrong_usage_says_so_and_exits_with_2(command: Any, capsys: Any, arguments: list[str], stderr: str) -> None:
    command(print)
    assert app.run(arguments) == 2
    assert capsys.readouterr() == ("", stderr)


def test_help_lists_every_command_on_stdout(command: Any, capsys: Any) -> None:
    command(print)
    for arguments in ([], ["--help"]):
        assert app.run(arguments) == 0
        out, err = capsys.readouterr()
        assert "act" in out
        assert err == ""


def test_version_is_the_package_s(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"1.2.3-{name}")
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == "fairlead 1.2.3-fairlead\n"


def test_an_unforeseen_error_is_one_line_without_a_traceback(command: Any, capsys: Any, monkeypatch: Any) -> None:
    command(raises(ZeroDivisionError("division by zero")))
    monkeypatch.delenv("FAIRLEAD_DEBUG", raising=False)
    monkeypatch.setattr(sys, "argv", ["fairlead", "act"])
    with pytest.raises(SystemExit) as caught:
        app.main()
    assert caught.value.code == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ZeroDivisionError: division by zero\nhint: ")
    assert "Traceback" not in err


def test_debug_shows_the_traceback(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    command(raises(BadInputError("wrong")))
    monkeypatch.setenv("FAIRLEAD_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["fairlead", "act"])
    with pytest.raises(BadInputError, match="wrong"):
        app.main()


HEAVY = {"pyarrow", "numpy", "duckdb", "onnxruntime", "pandas", "sklearn", "lightgbm", "xgboost", "httpx", "rich"}
HEAVY |= {"sqlalchemy", "alembic", "fastapi", "uvicorn", "psycopg", "obstore", "mlflow"}


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after `code`."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PYTHON)
    return {name.split(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


PYTHON = Path(fairlead.__file__).parents[1]


def test_importing_fairlead_imports_nothing_but_its_errors() -> None:
    assert not loaded_after("import fairlead") & (HEAVY | {"pydantic", "typer"})


@pytest.mark.parametrize("name", list(app.COMMANDS))
def test_reaching_a_command_imports_nothing_heavy(name: str) -> None:
    code = f"from fairlead.cli import app\nassert app.run([{name!r}, '--help']) == 0"
    assert not loaded_after(code) & HEAVY


@pytest.mark.parametrize("name", [name for name in fairlead.__all__ if name != "__version__"])
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(fairlead, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fairlead.nothing


def test_python_dash_m_is_the_same_command_line(cli: Any) -> None:
    done = cli("nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no command 'nonsense'\n")
