"""Closed-form theory of weak-to-strong risks."""
