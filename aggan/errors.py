"""Errors that a user can fix. The command line prints them as one line and exits with 2."""


class UserError(Exception):
    """One sentence: what is wrong, where, and what to do about it."""


class AlreadyReported(UserError):
    """An error that another process of the same training reports; this process exits with the same code, silently."""
