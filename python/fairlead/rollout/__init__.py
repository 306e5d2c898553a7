"""Decide how a rollout goes on, from its plan and its evidence: values in, values out, no I/O, no clock, no
randomness.
"""
