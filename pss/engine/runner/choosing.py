"""How a test chooses the subnet of each budget, on held-out images."""

import logging
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from mmengine.logging import print_log
from mmpretrain.models import MultiLabelClsHead

from ...errors import InputError
from ...models.classifiers.supernet_classifier import (
    Statistics,
    SupernetClassifier,
)
from ...sampling import Candidates, ConditionalSampler, Sampler
from ...search import (
    Finalist,
    Level,
    SubnetSearch,
    check_images,
    keep,
    standard_error,
)
from ...structures import Budget, CostTable, SearchSpace, Subnet
from ..randomness import shared_seed
from .held_out_hits import TOP_K, HeldOutHits, top_of


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


def check_search(loop: Any) -> None:
    """Checks that a loop has what a search needs, before the work.

    Args:
        loop (SubnetTestLoop): the loop.

    Raises:
        InputError: for a metric that is no top-k accuracy, a model that is no
            classifier of one label an image, or too few held-out images.
    """
    top_of(loop)
    model: Any = loop.model
    if not isinstance(model, SupernetClassifier) or \
            isinstance(model.head, MultiLabelClsHead):
        kind = type(getattr(model, 'head', model)).__name__
        raise InputError(
            f'test_cfg.search: a search compares which images subnets get '
            f'right, and {kind} has no one label an image; expected a '
            'classifier with one, or test_cfg.search=None')
    check_images(len(loop.selection_dataloader.dataset))


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
    measured, expected = evaluate.lead(
        lambda measure: search.run(space, levels, images, measure, seed))
    accuracy = {
        subnet:
        dict(
            # an estimate, unless it was measured on all images
            accuracy=float(np.clip(measured.accuracy[i], 0., 100.)),
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
        print_log(
            f'No subnet that was trained fits {", ".join(missing)}; left out '
            'of the results', 'current', logging.WARNING)
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
    grid = getattr(sampler, 'grid', None)
    if grid is not None:
        return _levels_of_grid(budgets, grid, costs)
    scored = sorted(((score, subnet) for pool in sampler.pools
                     for subnet, score in pool.scores.items()),
                    key=lambda entry: -entry[0])
    known = [subnet for _, subnet in scored]
    draws: Dict[str, ConditionalSampler] = {}
    levels = []
    for budget in budgets:
        cost = costs[budget.resource]
        if budget.resource not in draws:
            draws[budget.resource] = ConditionalSampler(cost)
        mine = draws[budget.resource]
        reached = _reachable(mine, budget)
        levels.append(
            Level(budget, _members(known, cost, reached),
                  partial(_from_space, mine, reached, cost.space)))
    return levels


def _levels_of_grid(budgets: Sequence[Budget], grid: Sequence[Subnet],
                    costs: Dict[str, CostTable]) -> List[Level]:
    """The levels of budgets, where only the subnets of a grid were trained."""
    levels = []
    for budget in budgets:
        reached = budget
        members = _members(grid, costs[budget.resource], reached)
        while not members and _can_widen(reached):
            reached = _widened(reached)
            members = _members(grid, costs[budget.resource], reached)
        if members:
            # none comes first: they have no scores
            levels.append(Level(budget, (), partial(_from_list, members)))
    return levels


def _members(subnets: Sequence[Subnet], cost: CostTable,
             budget: Budget) -> List[Subnet]:
    """The subnets whose costs belong to a budget's level."""
    values = cost(cost.space.encode(subnets))
    inside = (values >= budget.low) & (values < budget.high)
    return [subnet for subnet, is_in in zip(subnets, inside) if is_in]


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
            if not _can_widen(budget):
                raise
            budget = _widened(budget)


def _can_widen(budget: Budget) -> bool:
    return budget.is_limit and budget.step <= budget.level


def _widened(budget: Budget) -> Budget:
    return replace(budget, step=2 * budget.step)


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
