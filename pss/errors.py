"""The errors that the command-line tools print as one line."""

LONGEST = 4000  # characters of a message

# begins the traceback that torch adds to an error of a data loading process
_OF_A_WORKER = '\nOriginal Traceback (most recent call last):'


def printable(text: str) -> str:
    """A text as one line that is safe to print in a terminal: line ends,
    control and other unprintable characters are escaped."""
    return ''.join(
        c if c.isprintable() else c.encode('unicode_escape').decode()
        for c in text)


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its type if that is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def without_traceback(text: str) -> str:
    """An error's message without a worker's traceback.

    When a data loading process fails, torch raises its error again with the
    whole traceback as the message; the last line is what the error said.
    """
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
