"""Rank correlation: how well two orders agree."""

from typing import Optional, Sequence

import numpy as np

from ..checks import shown
from ..errors import InputError


def rank_correlation(one: Sequence[float],
                     two: Sequence[float]) -> Optional[float]:
    """Spearman's rank correlation: 1 for the same order, -1 for the reverse.

    Equal values get the mean of their ranks.

    Args:
        one, two: the values, equally many of each.

    Returns:
        The correlation, or ``None`` where it is not defined: for fewer than
        two values, or if all values of one side are equal.

    Raises:
        InputError: for different numbers of values, or one that is not finite
            and so has no rank.
    """
    if len(one) != len(two):
        raise InputError(f'{len(one)} and {len(two)} values: expected equally '
                         'many')
    for values in (one, two):
        if not np.isfinite(np.asarray(values, float)).all():
            raise InputError(f'values={shown(list(values))}: expected finite '
                             'numbers')
    if len(one) < 2:
        return None
    first, second = (_ranks(np.asarray(values, float)) for values in (one, two))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Returns ranks from 0; equal values share the mean of theirs."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    return ((last - sizes + last - 1) / 2)[group]
