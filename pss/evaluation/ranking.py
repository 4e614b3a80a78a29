"""How well the scores of a pool's subnets predict their held-out accuracy.

``tools/analysis_tools/rank_pools.py`` writes what is read here: ``{"metric":
str, "images": int, "pools": [{"resource": str, "level": float, "members":
[{..., "score": float, "held_out": float, "halves": [float, float]}]}]}``,
accuracies in percent, on all held-out images and on two halves of them. A pool
may also have ``draws``: subnets of its level that are not in it, without
scores.
"""

from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from ..sampling import rank_correlation
from ..structures import level_name

# The best by score of each pool that are tried on held-out images: the default
# of test_cfg.candidates.
CANDIDATES = 5


def rank_summary(ranks: Dict[str, Any]) -> List[Dict[str, Any]]:
    """One row for each pool, accuracies in percent.

    - ``correlation``: Spearman's, between score and held-out accuracy.
    - ``correlation_all``: the same over the pool and the level's subnets that
      are not in it; ``None`` if none were drawn, or if they have no score.
    - ``halves``: Spearman's, between the accuracies on one half of the images
      and on the other. It shows how much of the order is noise: no score can
      be expected to agree with held-out accuracy much better than its square
      root.
    - ``accuracy_std``: standard deviation of held-out accuracy.
    - ``behind_best``: how far the held-out accuracy of the best subnet by
      score is below that of the best of all.
    - ``behind_fair``: the same, but the best of all is chosen on one half of
      the images and both are measured on the other (mean of both ways), since
      the best of many is always better on the images that it was chosen on.
    - ``tried_behind_fair``: the same for the best of the five best by score,
      chosen on that same half: what the test loop keeps.
    - ``ahead_of_draws``: how far the pool's mean accuracy is above that of the
      level's subnets that are not in it; ``None`` if none were drawn.

    Args:
        ranks: what the tool wrote.
    """
    return [
        dict(
            pool=level_name(pool['resource'], pool['level']),
            subnets=len(pool['members']),
            **_row(pool['members']),
            correlation_all=_correlation_all(pool),
            ahead_of_draws=_ahead(pool)) for pool in ranks['pools']
    ]


def _row(members: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    members = sorted(members, key=lambda m: -m['score'])
    scores = [m['score'] for m in members]
    held_out = np.array([m['held_out'] for m in members])
    halves = np.array([m['halves'] for m in members])  # (members, 2)
    return dict(
        correlation=rank_correlation(scores, held_out.tolist()),
        halves=rank_correlation(halves[:, 0].tolist(), halves[:, 1].tolist()),
        accuracy_std=float(held_out.std()),
        behind_best=float(held_out.max() - held_out[0]),
        behind_fair=_behind(halves, 1),
        tried_behind_fair=_behind(halves, CANDIDATES))


def _correlation_all(pool: Dict[str, Any]) -> Optional[float]:
    draws = pool.get('draws', [])
    if not draws or any('score' not in row for row in draws):
        return None
    rows = pool['members'] + draws
    return rank_correlation([row['score'] for row in rows],
                            [row['held_out'] for row in rows])


def _ahead(pool: Dict[str, Any]) -> Optional[float]:
    if not pool.get('draws'):
        return None
    members, draws = ([row['held_out'] for row in pool[key]]
                      for key in ('members', 'draws'))
    return float(np.mean(members) - np.mean(draws))


def _behind(halves: np.ndarray, tried: int) -> float:
    """How far the best of the first ``tried`` is behind the best of all, both
    chosen on one half and measured on the other."""
    gaps = []
    for chosen_on, measured_on in (halves.T, halves.T[::-1]):
        gaps.append(measured_on[chosen_on.argmax()] -
                    measured_on[chosen_on[:tried].argmax()])
    return float(np.mean(gaps))
