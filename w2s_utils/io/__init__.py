"""Readers of files that others wrote: nothing in them runs, and nothing in them is guessed."""
