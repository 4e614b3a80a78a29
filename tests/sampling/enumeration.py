"""Spaces that are small enough to enumerate, and their priors."""

import numpy as np

from pss.structures import CostTable, SearchSpace, Width


def prior_of(space, codes):
    """Probability of each code under the space's prior."""
    return np.prod([p[c] for p, c in zip(space.priors, codes.T)], axis=0)


def random_table(rng, widths, scopes, resolutions=(1, 2, 3), combine='sum'):
    """Costs without any structure but the scopes."""
    space = SearchSpace([Width.of(base) for base in widths], list(resolutions))
    tables = tuple(
        rng.integers(0, 1000, (len(resolutions), *(space.shape[1 + w]
                                                   for w in scope)))
        for scope in scopes)
    return CostTable(space, tuple(scopes), tables, 10, combine)


def logarithms_of(tilt, codes):
    """What a tilt adds for each of many codes, one by one."""
    return np.array([
        tilt.resolution[r] + sum(values[r, choice]
                                 for values, choice in zip(tilt.widths, widths))
        for r, *widths in codes
    ])
