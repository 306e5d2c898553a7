"""Simulated rollouts: how often each rule rolls back a challenger that is no worse, and how soon one that is."""
