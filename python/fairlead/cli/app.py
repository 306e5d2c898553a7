"""`fairlead`: finds the command, runs it, turns what it raises into a message and an exit code.

A command's module is imported when the command is named, so `fairlead serve` never pays for `fairlead pack`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from fairlead.cli.output import emit_text, report, say
from fairlead.errors import BadInputError, FairleadError

COMMANDS = {
    "pack": "fairlead.cli.pack:pack",
    "inspect": "fairlead.cli.inspect:inspect",
    "verify": "fairlead.cli.verify:verify",
    "serve": "fairlead.cli.serve:serve",
    "log": "fairlead.cli.log:app",
    "monitor": "fairlead.cli.monitor:app",
    "up": "fairlead.cli.up:up",
    "registry": "fairlead.cli.registry:app",
    "apply": "fairlead.cli.apply:apply",
    "rollout": "fairlead.cli.rollout:app",
    "outcome": "fairlead.cli.outcome:app",
    "endpoint": "fairlead.cli.endpoint:app",
    "key": "fairlead.cli.key:app",
    "demo": "fairlead.cli.demo:demo",
}
"""Command name -> `module:attribute`; the attribute is a function, or a `typer.Typer` for a group."""


class LazyGroup(TyperGroup):
    """The commands of `COMMANDS`, each imported when it is asked for."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002 - typer calls it so
        """Return the names in the order of `--help`."""
        return list(COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | TyperGroup:  # noqa: ARG002 - as above
        """Import and return the command; raises `BadInputError` where there is none of that name."""
        if cmd_name not in self.commands:
            self.commands[cmd_name] = load(cmd_name)
        return cast("TyperCommand | TyperGroup", self.commands[cmd_name])


def load(name: str) -> TyperCommand | TyperGroup:
    """Import the command `name`; raises `BadInputError` where there is none."""
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `fairlead {near[0]}`?" if near else "`fairlead --help` lists the commands"
        raise BadInputError(f"no command {name!r}", hint=hint)
    module, attribute = COMMANDS[name].split(":")
    target = getattr(import_module(module), attribute)
    if isinstance(target, typer.Typer):
        group = target
    else:
        group = typer.Typer(add_completion=False, rich_markup_mode=None)
        group.command(name)(target)
    command = cast("TyperCommand | TyperGroup", typer.main.get_command(group))
    command.name = name
    return command


def _version(wanted: bool) -> None:
    if wanted:
        import fairlead

        emit_text(f"fairlead {fairlead.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Take a trained model from prototype to production, and keep it honest there.

    Example: fairlead serve --bundle "$(fairlead pack model.txt --name fraud --data sample.parquet)"
    """


def root() -> TyperGroup:
    """Return the whole command tree (for `main`, and for the page that documents it)."""
    tree = typer.Typer(name="fairlead", cls=LazyGroup, add_completion=False, rich_markup_mode=None)
    tree.callback()(_root)
    return typer.main.get_group(tree)


def command_paths() -> list[tuple[str, ...]]:
    """Return the names of all commands: `("pack",)`, `("log", "query")`."""
    paths: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = load(name)
        inner = command.commands if isinstance(command, TyperGroup) else {}
        paths += [(name, sub) for sub in inner] or [(name,)]
    return paths


def help_text(path: Sequence[str]) -> str:
    """Return what `fairlead PATH --help` prints, 100 columns wide."""
    tree: TyperCommand | TyperGroup = root()
    context = typer.Context(tree, info_name="fairlead", max_content_width=_HELP_WIDTH, terminal_width=_HELP_WIDTH)
    for name in path:
        tree = cast("TyperCommand | TyperGroup", cast("TyperGroup", tree).get_command(context, name))
        context = typer.Context(tree, info_name=name, parent=context)
    return tree.get_help(context)


_HELP_WIDTH = 100


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code: 0, 2 for wrong usage or input, 130 for Ctrl-C, else 1."""
    try:
        result = root().main(list(arguments) or ["--help"], prog_name="fairlead", standalone_mode=False)
    except FairleadError as error:
        report(error)
        return error.exit_code
    except TyperException as error:
        report(_usage(error))
        return error.exit_code
    except typer.Abort:
        say("aborted")
        return 1
    return result if isinstance(result, int) else 0


def _usage(error: TyperException) -> FairleadError:
    context = getattr(error, "ctx", None)
    hint = f"see `{context.command_path} --help`" if context is not None else None
    return BadInputError(error.format_message(), hint=hint)


def main() -> None:
    """Run the process's command line. A traceback is shown only where FAIRLEAD_DEBUG is set."""
    if os.environ.get("FAIRLEAD_DEBUG"):
        sys.exit(root().main(sys.argv[1:] or ["--help"], prog_name="fairlead", standalone_mode=False) or 0)
    try:
        code = run(sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, one line says so
        say(f"error: {type(error).__name__}: {error}")
        say("hint: this is a fault of fairlead; FAIRLEAD_DEBUG=1 shows where it happened")
        code = 1
    sys.exit(code)
