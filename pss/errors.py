"""The errors that the command-line tools print as one line."""

from .runtime.errors import InputError, printable, without_traceback

__all__ = [
    'DataError', 'DivergedError', 'InputError', 'first_line', 'printable',
    'without_traceback'
]


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its type if that is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class DataError(InputError):
    """Bad data.

    Only the process that loaded the data knows of it, so each such process
    prints the message, not only the first one.
    """


class DivergedError(FloatingPointError):
    """Training diverged: a loss is not finite, or gradients were not, too many
    steps in a row.

    The message names the iteration and the subnet. Neither weights nor pools
    are updated from such losses and gradients. ``tools/train.py`` exits with
    status 3.
    """
