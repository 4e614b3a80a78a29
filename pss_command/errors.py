"""The command's error."""


class UsageError(Exception):
    """A command line that cannot be followed; the message is one line."""
