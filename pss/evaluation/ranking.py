"""How well the scores of a pool's subnets predict their held-out accuracy.

Read from what ``tools/analysis_tools/rank_pools.py`` writes: ``{"metric": str,
"images": int, "pools": [{"resource": str, "level": float, "members": [{...,
"score": float, "held_out": float, "halves": [float, float]}]}]}``, accuracies
in percent, on all held-out images and on two halves of them. A pool may have
``draws`` too: subnets of its level that are not in it, without scores.
"""

from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from ..sampling import rank_correlation
from ..structures import level_name

# Best by score of a pool that are tried on held-out images, as test_cfg does.
CANDIDATES = 5


def rank_summary(ranks: Dict[str, Any]) -> List[Dict[str, Any]]:
    """One row for each pool.

    - ``correlation``: Spearman's, of score and held-out accuracy;
    - ``halves``: of the accuracies on one half of the images and on the other.
      It says how much of the order is noise: no score can be expected to agree
      with held-out accuracy better than its square root, about.
    - ``behind_best``: held-out accuracy of the best subnet by score, below
      that of the best of all.
    - ``behind_fair``: the same, but the best of all is chosen on one half of
      the images and both are measured on the other (mean of both ways): the
      best of many is always better on the images that it was chosen on.
    - ``tried_behind_fair``: likewise, of the best of five by score, chosen on
      the same half: what the test loop keeps.
    - ``ahead_of_draws``: mean accuracy of the pool's subnets, above that of
      subnets of the level that are not in it; ``None`` if none were drawn.

    Args:
        ranks: what the tool wrote.
    """
    return [
        dict(
            pool=level_name(pool['resource'], pool['level']),
            subnets=len(pool['members']),
            **_row(pool['members']),
            ahead_of_draws=_ahead(pool)) for pool in ranks['pools']
    ]


def _row(members: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    members = sorted(members, key=lambda m: -m['score'])
    score = np.array([m['score'] for m in members])
    held_out = np.array([m['held_out'] for m in members])
    halves = np.array([m['halves'] for m in members])  # (members, 2)
    return dict(
        correlation=rank_correlation(score, held_out),
        halves=rank_correlation(*halves.T),
        spread=float(held_out.std()),
        behind_best=float(held_out.max() - held_out[0]),
        behind_fair=_behind(halves, 1),
        tried_behind_fair=_behind(halves, CANDIDATES))


def _ahead(pool: Dict[str, Any]) -> Optional[float]:
    if not pool.get('draws'):
        return None
    members, draws = ([row['held_out'] for row in pool[key]]
                      for key in ('members', 'draws'))
    return float(np.mean(members) - np.mean(draws))


def _behind(halves: np.ndarray, tried: int) -> float:
    """How far the best of the first few is behind the best of all: both chosen
    on one half, measured on the other."""
    gaps = []
    for chosen_on, measured_on in (halves.T, halves.T[::-1]):
        gaps.append(measured_on[chosen_on.argmax()] -
                    measured_on[chosen_on[:tried].argmax()])
    return float(np.mean(gaps))
