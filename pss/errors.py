"""The error for everything a user can mend."""


class InputError(ValueError):
    """Bad input: a config, a file or an argument.

    The message names the field, its value and what would be legal. The
    command-line tools print it as one line and exit with status 2.
    """
