"""What a demo is asked to do, and how long it may take."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from fairlead.errors import BadInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How big the world is and how long the traffic lasts."""

    cards: int
    trees: int
    steady_rate: float
    """Requests a second of the open loop."""
    steady_seconds: float
    rush_seconds: float
    """Time of each stretch at full speed."""
    rush_rows: int
    """Most different rows of each stretch at full speed; they are sent again when they run out."""
    stream_rate: float
    """Requests a second while versions are rolled out."""
    stream_units: int
    """Different units among them."""
    cohort: int
    """Units that the first of a canary's shares is cut for: fewer than 5 % of them."""
    connections: int = 16


FULL = Pace(
    cards=20_000,
    trees=200,
    steady_rate=500.0,
    steady_seconds=10.0,
    rush_seconds=6.0,
    rush_rows=80_000,
    stream_rate=5_000.0,
    stream_units=24_000,
    cohort=1_000,
)
FAST = Pace(
    cards=3_000,
    trees=60,
    steady_rate=200.0,
    steady_seconds=3.0,
    rush_seconds=2.0,
    rush_rows=10_000,
    stream_rate=1_500.0,
    stream_units=6_000,
    cohort=250,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """Somebody's own data, in place of the simulated payments."""

    path: Path
    label: str
    weight: str | None = None
    """Column with the weight of each row in a sample drawn unevenly; no feature."""
    drop: tuple[str, ...] = ()
    keep_leaks: bool = False
    """Keep columns that nearly equal the label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """`fairlead demo`, after its flags were read."""

    out: Path = Path("out/demo")
    pace: Pace = FULL
    seed: int = 1
    port: int = 0
    """0: any free one."""
    keep: bool = False
    """Leave the server, or both planes, running at the end."""
    file: DataFile | None = None


MARKER = ".fairlead-demo"


@dataclass(frozen=True, slots=True)
class Workplace:
    """The folder that a demo writes to, and what is where in it."""

    root: Path

    @property
    def prototype(self) -> Path:
        """The model and the sample that `pack` takes."""
        return self.root / "prototype"

    @property
    def bundles(self) -> Path:
        """Where `pack` puts the bundle."""
        return self.root / "bundles"

    @property
    def traffic(self) -> Path:
        """What was sent, and what came back."""
        return self.root / "traffic"

    @property
    def log(self) -> Path:
        """The prediction log."""
        return self.root / "log"

    @property
    def planes(self) -> Path:
        """State, bundles and log of both planes."""
        return self.root / "planes"

    @property
    def summary(self) -> Path:
        """The summary as JSON."""
        return self.root / "summary.json"


def claim(root: Path) -> Workplace:
    """Take the folder; raises `BadInputError` where it holds anything but an earlier demo. Changes nothing."""
    if root.exists() and (not root.is_dir() or (any(root.iterdir()) and not (root / MARKER).is_file())):
        raise BadInputError(f"{root} is not empty and was not made by a demo", hint="give another folder with --out")
    return Workplace(root)


def clear(place: Workplace) -> None:
    """Make the folders, empty of an earlier demo."""
    for folder in (place.prototype, place.bundles, place.traffic, place.log, place.planes):
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
    place.summary.unlink(missing_ok=True)
    (place.root / MARKER).touch()
