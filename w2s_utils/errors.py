"""Errors whose message is all that a user of the command line sees of them."""


class UserError(Exception):
    """What was asked for cannot be done; the message says why and what to do."""


class WorkerError(RuntimeError):
    """Work was lost, or was done by something else than this process; a sentence says what."""
