"""All peers, in the order of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.peers.bentoml.peer import PEER as BENTOML
from benchmarks.peers.fastapi.peer import PEER as FASTAPI
from benchmarks.peers.granian.peer import PEER as GRANIAN
from benchmarks.peers.kserve.peer import PEER as KSERVE
from benchmarks.peers.litserve.peer import PEER as LITSERVE
from benchmarks.peers.mlserver.peer import PEER as MLSERVER
from benchmarks.peers.node.peer import PEER as NODE
from benchmarks.peers.triton.peer import PEER as TRITON

if TYPE_CHECKING:
    from benchmarks.peers.peer import Peer

PEERS: tuple[Peer, ...] = (FASTAPI, MLSERVER, BENTOML, LITSERVE, KSERVE, TRITON, GRANIAN, NODE)
