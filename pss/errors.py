"""The errors that the command-line tools print as one line."""

LONGEST = 4000  # characters of a message

# how torch begins what it raises again from a process that loads data
_OF_A_WORKER = '\nOriginal Traceback (most recent call last):'


def printable(text: str) -> str:
    """A text as one line that a terminal shows as it is: line ends, control
    characters and others that cannot be printed become their escapes."""
    return ''.join(
        c if c.isprintable() else c.encode('unicode_escape').decode()
        for c in text)


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its type if that is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def without_traceback(text: str) -> str:
    """What an error says, without the traceback that torch puts into it when
    a process that loads data has failed: that one's last line."""
    if _OF_A_WORKER not in text:
        return text
    return text.strip().splitlines()[-1].strip()


class InputError(ValueError):
    """Bad input: a config, a file or an argument.

    The message names the field, its value and what was expected. The
    command-line tools print it as one line and exit with status 2.
    """

    def __str__(self) -> str:
        text = without_traceback(super().__str__())
        text = text.removeprefix(f'{__name__}.{type(self).__name__}: ')
        if len(text) > LONGEST:
            text = f'{text[:LONGEST]}...'
        return printable(text)


class DataError(InputError):
    """Bad data, which only the process that loaded it knows of: each such
    process says it, not only the first."""


class DivergedError(FloatingPointError):
    """Training has left the numbers: a loss, or gradients again and again, are
    not finite.

    The message names the iteration and the subnet. Neither weights nor pools
    have taken anything from it; ``tools/train.py`` exits with status 3.
    """
