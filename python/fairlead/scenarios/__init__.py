"""Seeded worlds to try a model in: streams whose truth is known, so that what a system does can be judged."""
