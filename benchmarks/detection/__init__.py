"""Simulated traffic: how seldom a drift detector alarms by itself, and how soon when something has changed."""
