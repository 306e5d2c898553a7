"""The control plane: the only place with loops, clocks and transactions. Load, decide, commit, publish."""

from fairlead.control.settings import DataPlane, Settings

__all__ = ["DataPlane", "Settings"]
