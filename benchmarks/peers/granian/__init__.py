"""Granian, the RSGI interface: the best that pure Python does."""
