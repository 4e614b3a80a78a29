"""How a test chooses the subnet of each budget, on held-out images."""

import logging
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from mmengine.logging import print_log

from ...errors import InputError
from ...models.classifiers.supernet_classifier import Statistics
from ...sampling import Candidates, ConditionalSampler, Sampler
from ...search import Finalist, Level, SubnetSearch, keep, standard_error
from ...structures import Budget, CostTable, SearchSpace, Subnet
from ..randomness import shared_seed
from .held_out_hits import TOP_K, HeldOutHits


class Choice(NamedTuple):
    """What is kept, and why.

    Attributes:
        kept: the subnet of each budget, and its pool's score if it has one.
        held_out: accuracies of the kept subnets and of the ends, in percent,
            and their number of images, as fields of results.
        statistics: batch-norm statistics of the same subnets.
        evaluated: all subnets that were compared, with such fields.
    """
    kept: List[Tuple[Budget, Subnet, Optional[float]]]
    held_out: Dict[Subnet, Dict[str, float]]
    statistics: Dict[Subnet, Statistics]
    evaluated: List[Tuple[Subnet, Dict[str, float]]]


def choose_by_score(loop: Any) -> Choice:
    """Chooses the most accurate of each pool's best by score, as the published
    program does.

    Args:
        loop (SubnetTestLoop): the loop.
    """
    sampler = loop.sampler_hook.sampler
    candidates = sampler.candidates(loop.candidates)
    _report_empty(sampler, candidates)
    space = loop.model.search_space
    subnets = list(
        dict.fromkeys([
            space.largest, space.smallest,
            *(s for found in candidates.values() for s, _ in found)
        ]))
    statistics = loop.calibrate(subnets)
    metrics = loop.evaluate(
        statistics,
        loop.selection_dataloader,
        'held-out images',
        hooks=False,
        evaluator=loop.selection_evaluator)
    accuracy = {s: loop.metric_of(metrics[s]) for s in subnets}
    kept = [(budget, *max(found, key=lambda scored: accuracy[scored[0]]))
            for budget, found in candidates.items()]
    images = len(loop.selection_dataloader.dataset)
    return _choice(
        loop, kept, statistics,
        {s: dict(accuracy=accuracy[s], images=images)
         for s in subnets})


def choose_by_search(loop: Any) -> Choice:
    """Searches all subnets of each budget's level, see :class:`.SubnetSearch`.

    Args:
        loop (SubnetTestLoop): the loop.
    """
    space, hook = loop.model.search_space, loop.sampler_hook
    seed = shared_seed(loop.runner)
    budgets = loop.limits(hook.costs) or hook.sampler.budgets
    levels = levels_of(budgets, hook.sampler, hook.costs)
    images = len(loop.selection_dataloader.dataset)
    search: SubnetSearch = loop.search
    evaluate = HeldOutHits(loop, loop.selection_dataloader,
                           Path(loop.runner.work_dir, 'search.jsonl'), seed,
                           search.planned(len(levels), images))
    measured, expected = search.run(space, levels, images, evaluate, seed)
    accuracy = {
        subnet:
        dict(
            accuracy=float(measured.accuracy[i]),
            images=int(measured.images[i]),
            expected=float(expected.mean[i]),
            expected_se=float(expected.std[i]))
        for i, subnet in enumerate(measured.subnets)
    }
    finalists = [
        Finalist(s, accuracy[s]['expected'], accuracy[s]['accuracy'])
        for s, final in zip(measured.subnets, measured.final) if final
    ]
    found = keep(budgets, finalists, hook.costs)
    missing = [str(b) for b in budgets if b not in found]
    if missing:
        print_log(f'No subnet that was trained fits {", ".join(missing)}',
                  'current', logging.WARNING)
    scores = {
        (pool.budget, s): score
        for pool in hook.sampler.pools
        for s, score in pool.scores.items()
    }
    kept = [(b, s, scores.get((b, s))) for b, s in found.items()]
    ends = [space.largest, space.smallest]
    subnets = list(dict.fromkeys(ends + [*found.values()]))
    return _choice(loop, kept, evaluate.final_statistics(subnets), accuracy)


def levels_of(budgets: Sequence[Budget], sampler: Sampler,
              costs: Dict[str, CostTable]) -> List[Level]:
    """Where the candidates of budgets come from.

    Args:
        budgets: the levels to search.
        sampler: its pools' subnets are known; if it has a ``grid``, there are
            no others.
        costs: what subnets cost in each resource.

    Returns:
        The levels; without those in which the grid has no subnet.

    Raises:
        InputError: for a level that no subnet reaches.
    """
    known = sorted(((score, subnet) for pool in sampler.pools
                    for subnet, score in pool.scores.items()),
                   key=lambda entry: -entry[0])
    grid = getattr(sampler, 'grid', None)
    subnets = [s for _, s in known] if grid is None else grid
    draws: Dict[str, ConditionalSampler] = {}
    levels = []
    for budget in budgets:
        cost = costs[budget.resource]
        if budget.resource not in draws:
            draws[budget.resource] = ConditionalSampler(cost)
        reached = _reachable(draws[budget.resource], budget)
        codes = cost.space.encode(subnets)
        inside = (cost(codes) >= reached.low) & (cost(codes) < reached.high)
        members = [s for s, is_in in zip(subnets, inside) if is_in]
        if grid is None:
            draw = partial(_from_space, draws[budget.resource], reached,
                           cost.space)
            levels.append(Level(budget, members, draw))
        elif members:
            levels.append(Level(budget, members, partial(_from_list, members)))
    return levels


def _reachable(draws: ConditionalSampler, budget: Budget) -> Budget:
    """Prepares draws from a budget; a limit that falls into a gap between
    costs gets the subnets below the gap.

    Raises:
        InputError: if no subnet is in the level, or none below the limit.
    """
    while True:
        try:
            draws.add(budget)
            return budget
        except InputError:
            if not budget.is_limit or budget.step > budget.level:
                raise
            budget = replace(budget, step=2 * budget.step)


def _from_space(draws: ConditionalSampler, budget: Budget, space: SearchSpace,
                rng: np.random.Generator, num: int) -> List[Subnet]:
    return space.decode(draws.draw(budget, rng, num))


def _from_list(subnets: Sequence[Subnet], rng: np.random.Generator,
               num: int) -> List[Subnet]:
    return [subnets[i] for i in rng.integers(len(subnets), size=num)]


def _choice(loop: Any, kept: List[Tuple[Budget, Subnet, Optional[float]]],
            statistics: Dict[Subnet, Statistics],
            found: Dict[Subnet, Dict[str, Any]]) -> Choice:
    """Names what was found as results do."""
    name = f'held_out_{loop.metric}'
    is_share = re.fullmatch(TOP_K, loop.metric)
    rows: Dict[Subnet, Dict[str, Any]] = {}
    for subnet, row in found.items():
        rows[subnet] = {name: row['accuracy'], 'images': row['images']}
        if is_share:
            rows[subnet][f'{name}_se'] = standard_error(row['accuracy'],
                                                        row['images'])
        if 'expected' in row:
            rows[subnet][f'expected_{loop.metric}'] = row['expected']
            rows[subnet][f'expected_{loop.metric}_se'] = row['expected_se']
    space = loop.model.search_space
    chosen = dict.fromkeys(
        [space.largest, space.smallest, *(s for _, s, _ in kept)])
    return Choice(kept, {
        s: {
            k: v
            for k, v in rows[s].items() if k != 'images'
        }
        for s in chosen
    }, {s: statistics[s]
        for s in chosen}, [*rows.items()])


def _report_empty(sampler: Sampler, candidates: Candidates) -> None:
    """Says for which budgets there is no subnet to choose."""
    if not candidates:
        raise InputError(
            'the checkpoint has no subnets in its pools; expected one '
            'written by training with pss.PSSSamplerHook' if sampler.pools else
            'the sampler has no subnet to choose for any of the budgets')
    empty = [str(b) for b in sampler.budgets if b not in candidates]
    if empty:
        what, why = ('pools are empty and', 'training was short') \
            if sampler.pools else \
            ('budgets are', 'the sampler has no subnet for them')
        print_log(
            f'{len(empty)} of {len(sampler.budgets)} {what} left out of the '
            f'results ({why}): {", ".join(empty)}', 'current', logging.WARNING)
