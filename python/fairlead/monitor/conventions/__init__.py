"""Whose bins, measures and thresholds decide: a module turns a pair into measures and, where they rule, a verdict."""
