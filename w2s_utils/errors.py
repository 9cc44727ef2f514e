"""The error whose message is all that a user sees of it."""


class UserError(Exception):
    """What was asked for cannot be done; the message says why and what to do."""
