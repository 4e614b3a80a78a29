"""The errors that the command-line tools print as one line."""


class InputError(ValueError):
    """Bad input: a config, a file or an argument.

    The message names the field, its value and what would be legal. The
    command-line tools print it as one line and exit with status 2.
    """


class DivergedError(FloatingPointError):
    """Training has left the numbers: a loss, or gradients again and again, are
    not finite.

    The message names the iteration and the subnet. Neither weights nor pools
    have taken anything from it; ``tools/train.py`` exits with status 3.
    """
