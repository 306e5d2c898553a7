"""Print what pyproject.toml requires, one requirement a line: `requirements.py EXTRA` or `--only NAME`.

pip could resolve `.[EXTRA]` itself, but would build the Rust part for that.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SELF = re.compile(r"fairlead\[(?P<extras>[^]]+)\]$")


def expand(project: dict[str, Any], extra: str) -> Iterator[str]:
    """Yield the requirements of `extra`, with `fairlead[other]` replaced by those of `other`."""
    for requirement in project["optional-dependencies"][extra]:
        if reference := SELF.match(requirement):
            for other in reference["extras"].split(","):
                yield from expand(project, other.strip())
        else:
            yield requirement


def main() -> None:
    """Print to stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("extra", nargs="?", help="base dependencies and those of this extra")
    choice.add_argument("--only", metavar="NAME", help="the one requirement on NAME, from any extra")
    arguments = parser.parse_args()
    project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())["project"]
    if arguments.extra:
        found = {*project["dependencies"], *expand(project, arguments.extra)}
    else:
        everything = (one for extra in project["optional-dependencies"] for one in expand(project, extra))
        found = {one for one in everything if re.match(rf"{re.escape(arguments.only)}\b(?!-)", one)}
    sys.stdout.writelines(f"{requirement}\n" for requirement in sorted(found))


if __name__ == "__main__":
    main()
