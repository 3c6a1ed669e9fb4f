"""The one error that is the user's to mend; the command line prints it as one line and exits with 2."""


class UserError(Exception):
    """What is wrong, where, and what to do about it, in one sentence."""


class AlreadySaid(UserError):
    """What another process of the same training tells the user; this one ends with the same exit code, silently."""
