"""Limits of resources on the command line."""

import math
from typing import Dict, List

from ..checks import shown
from ..errors import InputError


def parse_budget(words: List[str]) -> Dict[str, float]:
    """Parses the words after ``--budget``, each ``NAME=NUMBER``.

    Returns:
        The limit of each resource, by name.

    Raises:
        InputError: for a malformed word, a value that is not a finite number
            above 0, and two values for one name.
    """
    limits: Dict[str, float] = {}
    for word in words:
        name, _, value = word.partition('=')
        try:
            limit = float(value)  # accepts 20_000, too
        except ValueError:
            limit = math.nan
        if not name.strip() or not name.isprintable() or \
                not 0 < limit < math.inf:
            raise InputError(f'--budget {shown(word)}: expected NAME=NUMBER, '
                             'the number finite and above 0, such as flops=60')
        if name in limits and limits[name] != limit:
            raise InputError(f'--budget: {name}={limits[name]:g} and '
                             f'{name}={limit:g} contradict each other')
        limits[name] = limit
    return limits
