"""Decides what each iteration trains."""

from inspect import signature
from typing import Any, Dict, List, Optional, Tuple, Union

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop

from ...checks import (
    check_choice,
    check_integer,
    check_keys,
    check_number,
    shown,
)
from ...errors import InputError
from ...registry import HOOKS
from ...resources import build_resources, cost_tables
from ...sampling import (
    ConditionalSampler,
    PrioritizedSampler,
    SubnetPool,
    UniformSampler,
    cost_range,
)
from ...structures import (
    Budget,
    CostTable,
    SearchSpace,
    budgets_of,
    spread_budgets,
)
from ...structures.budget import MOST_LEVELS
from ..checkpoints.entries import POOLS_KEY
from ..randomness import shared_seed

METHODS = ('pss', 'usnet', 'mutualnet')
Sampler = Union[PrioritizedSampler, UniformSampler]


@HOOKS.register_module()
class PSSSamplerHook(Hook):
    """Prioritized Subnet Sampling (PSS-Net, Sec. III-C) in the Runner.

    ::

        for batch in train_dataloader:
            hook.before_train_iter()     # draws largest, sampled, smallest
            model.train_step(batch)      # the optimizer wrapper trains them
            hook.after_train_iter()      # the sampled one's score to its pool

    The pools and their scores are written into every checkpoint.

    The baselines differ in which subnets an iteration trains and in how the
    final ones are named, see :class:`.UniformSampler`; they need
    ``optim_wrapper.passes=4``. Random sampling is ``method='pss'`` with
    ``p=dict(ratio=1.)``.

    Args:
        budgets: the levels that have a pool, for each resource, in its unit:
            ``start``, ``stop`` (both included) and ``step``; or ``pools``, how
            many of them spread over the costs that the space reaches.
        resources: configs of resources by name, see
            :func:`pss.resources.build_resources`. ``flops`` (MFLOPs) is always
            there. Those without budgets are only reported.
        pool_size: most subnets in a pool.
        score_momentum: share of the old score when a subnet is scored again.
        p: probability to draw from the whole space rather than from a pool:
            ``start`` and ``ratio`` of its decay, ``start * ratio ** (epoch /
            epochs)``.
        t: temperature of the priorities in a pool, likewise.
        method: ``'pss'``, ``'usnet'`` or ``'mutualnet'``. The baselines take
            none of the four options before.

    Attributes:
        sampler: draws, and holds the pools.
        costs (dict[str, CostTable]): what subnets cost, for each resource.
        units (dict[str, str]): what the costs are in.
    """

    priority = 'NORMAL'

    def __init__(self,
                 budgets: Dict[str, Dict[str, float]],
                 resources: Optional[Dict[str, dict]] = None,
                 pool_size: int = 50,
                 score_momentum: float = 0.9,
                 p: Dict[str, float] = dict(start=1., ratio=0.01),
                 t: Dict[str, float] = dict(start=1., ratio=0.01),
                 method: str = 'pss') -> None:
        self.resources = build_resources(resources)
        self.budgets = check_budgets(budgets, list(self.resources))
        self.pool_size = check_integer('pool_size', pool_size, 1)
        self.score_momentum = check_number(
            'score_momentum', score_momentum, least=0, below=1)
        self.p = _decay('p', p)
        for name, value in (('start', self.p[0]), ('start * p.ratio',
                                                   self.p[0] * self.p[1])):
            check_number(f'p.{name}', value, above=0, most=1)
        self.t = _decay('t', t)
        # scores are divided by it
        check_number('t.start * t.ratio', self.t[0] * self.t[1], least=1e-100)
        self.method = check_choice('method', method, METHODS)
        self._check_method()
        self.sampler: Optional[Sampler] = None
        self.costs: Dict[str, CostTable] = {}
        self.units = {
            name: resource.unit
            for name, resource in self.resources.items()
        }
        self._seed = 0
        self._pool: Optional[SubnetPool] = None

    def _check_method(self) -> None:
        defaults = signature(PSSSamplerHook).parameters
        given = [
            name
            for name, value in (('pool_size', self.pool_size),
                                ('score_momentum', self.score_momentum),
                                ('p', dict(zip(('start', 'ratio'), self.p))),
                                ('t', dict(zip(('start', 'ratio'), self.t))))
            if value != defaults[name].default
        ]
        if given and self.method != 'pss':
            raise InputError(f'method={self.method!r} has no pools, so it '
                             f'takes no {", ".join(given)}')

    def before_run(self, runner) -> None:
        """Counts the costs and builds the sampler, before anything loads."""
        if self.sampler is not None:
            return
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        # of a detector its backbone, at the size of its images
        self.costs = cost_tables(self.resources,
                                 getattr(model, 'costed', model))
        budgets = {
            name: parse_budgets(name, levels, self.costs[name])
            for name, levels in self.budgets.items()
        }
        self.sampler = self._build_sampler(model.search_space, budgets)
        what = 'pools' if self.method == 'pss' else 'budgets'
        for name, levels in budgets.items():
            runner.logger.info(
                f'{len(levels)} {what} for {name}: {levels[0].level:g} to '
                f'{levels[-1].level:g} {self.units[name]} in steps of '
                f'{levels[0].step:g}')

    def _build_sampler(self, space: SearchSpace,
                       budgets: Dict[str, List[Budget]]) -> Sampler:
        levels = [budget for group in budgets.values() for budget in group]
        if self.method != 'pss':
            return UniformSampler(
                space, self.costs, levels, mutual=self.method == 'mutualnet')
        samplers = {
            name: ConditionalSampler(self.costs[name], group)
            for name, group in budgets.items()
        }
        pools = [
            SubnetPool(budget, self.pool_size, self.score_momentum)
            for budget in levels
        ]
        return PrioritizedSampler(space, samplers, pools, self.p, self.t)

    def before_train(self, runner) -> None:
        """Forgets pools that came with weights to start from.

        Raises:
            InputError: if the optimizer wrapper is for other passes.
        """
        passes = getattr(runner.optim_wrapper, 'passes', None)
        if passes not in (None, self.sampler.passes):
            raise InputError(
                f'optim_wrapper.passes={passes}: an iteration of '
                f'method={self.method!r} has {self.sampler.passes}')
        self._seed = shared_seed(runner)
        if runner.iter == 0:
            for pool in self.sampler.pools:
                pool.load({})

    def before_train_iter(self,
                          runner,
                          batch_idx: int,
                          data_batch: Any = None) -> None:
        """Draws what the iteration trains."""
        progress = training_progress(runner)
        plan, self._pool = self.sampler.plan(self._seed, runner.iter, progress)
        runner.optim_wrapper.plan = plan
        for name, value in self.sampler.scalars(progress).items():
            runner.message_hub.update_scalar(f'train/{name}', value)

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """Gives the sampled subnet's score to its pool.

        It is the mean over all processes, so that their pools stay the same.
        An iteration whose gradients were not finite teaches nothing.
        """
        if self._pool is not None and not runner.optim_wrapper.step_skipped:
            self._pool.update(runner.optim_wrapper.plan[1].subnet,
                              -outputs['task_sampled'].item())

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Writes the pools."""
        checkpoint[POOLS_KEY] = self.sampler.state_dict()

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Reads the pools, if there are any."""
        if POOLS_KEY in checkpoint:
            self.sampler.load_state_dict(checkpoint[POOLS_KEY])


def check_budgets(cfg: Any, resources: List[str]) -> Dict[str, dict]:
    """Checks the budgets of a config as far as that goes without a model.

    Raises:
        InputError: it names the resource and the key.
    """
    if not isinstance(cfg, dict) or not cfg:
        raise InputError(f'budgets={shown(cfg)}: expected at least one '
                         'resource and its levels')
    check_keys(cfg, resources, 'budgets')
    keys = ('start', 'stop', 'step')
    for resource, levels in cfg.items():
        where = f'budgets.{resource}'
        if not isinstance(levels, dict):
            raise InputError(f'{where}={shown(levels)}: expected start, stop '
                             'and step, or pools')
        check_keys(levels, (*keys, 'pools'), where)
        if 'pools' in levels:
            if len(levels) > 1:
                raise InputError(f'{where}: it has pools, so it takes no '
                                 f'{", ".join(k for k in keys if k in levels)}')
            check_integer(f'{where}.pools', levels['pools'], 1, MOST_LEVELS)
            continue
        for key in keys:
            if key not in levels:
                raise InputError(f'{where}: {key!r} is missing; it has '
                                 f'{sorted(levels)}')
        budgets_of(resource, **levels)
    return dict(cfg)


def parse_budgets(resource: str, levels: Dict[str, Any],
                  cost: CostTable) -> List[Budget]:
    """The budgets of one resource.

    Args:
        resource: its name.
        levels: what the config says, checked.
        cost: what the subnets of the space cost.
    """
    if 'pools' in levels:
        cheapest, dearest = cost_range(cost)
        return spread_budgets(resource, float(cheapest.min()),
                              float(dearest.max()), levels['pools'])
    return budgets_of(resource, **levels)


def training_progress(runner) -> float:
    """Share of the training that is done: epoch / epochs, from 0.

    ``IterBasedTrainLoop`` has no epochs and goes by iterations.
    """
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        return runner.iter / runner.max_iters
    return runner.epoch / runner.max_epochs


def _decay(name: str, cfg: Dict[str, float]) -> Tuple[float, float]:
    if not isinstance(cfg, dict):
        raise InputError(f'{name}={shown(cfg)}: expected start, ratio or both')
    check_keys(cfg, ('start', 'ratio'), name)
    start, ratio = cfg.get('start', 1.), cfg.get('ratio', 0.01)
    for key, value in (('start', start), ('ratio', ratio)):
        check_number(f'{name}.{key}', value, above=0)
    return start, ratio
