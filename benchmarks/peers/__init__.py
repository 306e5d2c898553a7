"""The servers that people would use instead: in each folder `peer.py` says how to start it, the rest is its server."""
