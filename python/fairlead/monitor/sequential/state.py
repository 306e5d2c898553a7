"""What is kept between ticks, to a document and back."""

from __future__ import annotations

import numpy as np

from fairlead.monitor.sequential.arguments import require
from fairlead.monitor.sequential.detector import Detector, State
from fairlead.monitor.sequential.history import Block
from fairlead.schema.drift_state import DriftBlock, DriftState


def stored(detector: Detector, state: State) -> DriftState:
    """The document of `state`; exact."""
    return DriftState(
        detector=detector.identity,
        rows=state.rows,
        ticks=state.ticks,
        log_r=state.log_r.tolist(),
        log_best=state.log_best.tolist(),
        begun=state.begun.tolist(),
        blocks=[
            DriftBlock(
                start=block.start,
                rows=block.rows,
                season_rows=block.season_rows.tolist(),
                counts=block.counts.tolist(),
            )
            for block in state.blocks
        ],
    )


def restored(detector: Detector, document: DriftState) -> State:
    """The state of a document. Raises `BadInputError` where it is another detector's, or does not fit."""
    require(document.detector == detector.identity, "detector", detector.identity, document.detector)
    bets, cells = len(detector.log_weight), int(detector.cell_bounds[-1])
    for name in ("log_r", "log_best", "begun"):
        require(len(getattr(document, name)) == bets, name, f"{bets} values", len(getattr(document, name)))
    for block in document.blocks:
        require(len(block.counts) == cells, "counts", f"{cells} values", len(block.counts))
        require(len(block.season_rows) == detector.seasons, "season_rows", f"{detector.seasons}", block.season_rows)
    return State(
        document.rows,
        document.ticks,
        np.array(document.log_r, dtype=np.float64),
        np.array(document.log_best, dtype=np.float64),
        np.array(document.begun, dtype=np.int64),
        tuple(
            Block(
                block.start,
                block.rows,
                np.array(block.season_rows, dtype=np.int64),
                np.array(block.counts, dtype=np.int64),
            )
            for block in document.blocks
        ),
    )
