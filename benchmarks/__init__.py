"""Measurements of Fairlead against the servers that people would use instead; not part of the package."""
