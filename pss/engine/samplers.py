"""Building the samplers that configs name."""

from typing import Any, Dict, List

from ..errors import InputError
from ..registry import SAMPLERS, SCORES, check_entry
from ..sampling import (
    AdditiveScore,
    BatchScore,
    PrioritizedSampler,
    Sampler,
    UniformSampler,
)
from ..structures import Budget, CostTable, SearchSpace

for _sampler in (PrioritizedSampler, UniformSampler):
    SAMPLERS.register_module(module=_sampler)
for _score in (BatchScore, AdditiveScore):
    SCORES.register_module(module=_score)

WHERE = 'pss_sampler.sampler'  # in a config's hooks
SCORE = f'{WHERE}.score'
MEMBERS = ('budgets', 'pools', 'plan', 'candidates', 'scalars', 'state_dict',
           'load_state_dict')


def check_sampler(cfg: Any) -> Dict[str, Any]:
    """Checks the config of a sampler; the paper's if it names no type.

    Raises:
        InputError: for an unknown type, or a key that it does not accept.
    """
    if isinstance(cfg, dict):
        cfg = dict(dict(type='pss.PrioritizedSampler'), **cfg)
    cfg = check_entry(SAMPLERS, cfg, WHERE)
    if cfg.get('score') is not None:
        cfg = dict(cfg, score=check_entry(SCORES, cfg['score'], SCORE))
    return cfg


def build_sampler(cfg: Dict[str, Any], space: SearchSpace,
                  costs: Dict[str,
                              CostTable], budgets: List[Budget]) -> Sampler:
    """Builds a sampler.

    Args:
        cfg: as :func:`check_sampler` returned it.
        space: the space of the subnets.
        costs: what they cost, for each resource.
        budgets: all levels of all resources.

    Raises:
        InputError: for a value that an argument cannot have, a level that no
            subnet reaches, or a class that is no :class:`.Sampler`.
    """
    cfg = dict(cfg)
    if cfg.get('score') is not None:
        cfg['score'] = SCORES.build(dict(cfg['score']))
    sampler: Sampler = SAMPLERS.build(
        cfg, default_args=dict(space=space, costs=costs, budgets=budgets))
    missing = [name for name in MEMBERS if not hasattr(sampler, name)]
    if missing:
        raise InputError(f'{WHERE}: {cfg["type"]} has no {", ".join(missing)}; '
                         'expected the members of pss.sampling.Sampler')
    return sampler
