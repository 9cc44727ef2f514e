"""Companion package of the book on weak-to-strong generalization and intrinsic dimension."""
