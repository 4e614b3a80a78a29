"""The command's error, and texts in messages."""


class UsageError(Exception):
    """A command line that cannot be followed; the message is one line."""


def printable(text: str) -> str:
    """A text with what does not print escaped, line breaks included; the same
    as :func:`pss.errors.printable`, which would import torch."""
    return ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
