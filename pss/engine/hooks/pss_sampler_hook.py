"""Decides what each iteration trains."""

from typing import Any, Dict, List, Optional, Tuple

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop

from ...errors import InputError
from ...registry import HOOKS, check_keys
from ...resources import build_resources, cost_tables
from ...sampling import (
    ConditionalSampler,
    PrioritizedSampler,
    SubnetPool,
    cost_range,
)
from ...structures import Budget, CostTable, budgets_of, spread_budgets
from ..randomness import shared_seed

STATE_KEY = 'pss_pools'  # in the checkpoint


@HOOKS.register_module()
class PSSSamplerHook(Hook):
    """Prioritized Subnet Sampling (PSS-Net, Sec. III-C) in the Runner.

    ::

        for batch in train_dataloader:
            hook.before_train_iter()     # draws largest, sampled, smallest
            model.train_step(batch)      # the optimizer wrapper trains them
            hook.after_train_iter()      # the sampled one's score to its pool

    The pools and their scores are written into every checkpoint.

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

    Attributes:
        sampler (PrioritizedSampler): draws, and holds the pools.
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
                 t: Dict[str, float] = dict(start=1., ratio=0.01)) -> None:
        self.resources = build_resources(resources)
        self.budgets = check_budgets(budgets, list(self.resources))
        if isinstance(pool_size, bool) or not isinstance(pool_size, int) \
                or pool_size < 1:
            raise InputError(f'pool_size={pool_size!r} must be an integer of '
                             'at least 1')
        if not 0 <= score_momentum < 1:
            raise InputError(f'score_momentum={score_momentum!r} must be at '
                             'least 0 and below 1')
        self.pool_size = pool_size
        self.score_momentum = score_momentum
        self.p = _decay('p', p)
        self.t = _decay('t', t)
        self.sampler: Optional[PrioritizedSampler] = None
        self.costs: Dict[str, CostTable] = {}
        self.units = {name: resource.unit
                      for name, resource in self.resources.items()}
        self._seed = 0
        self._pool: Optional[SubnetPool] = None

    def before_run(self, runner) -> None:
        """Counts the costs and builds the sampler, before anything loads."""
        if self.sampler is not None:
            return
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        # of a detector its backbone, at the size of its images
        self.costs = cost_tables(self.resources,
                                 getattr(model, 'costed', model))
        budgets = {name: parse_budgets(name, levels, self.costs[name])
                   for name, levels in self.budgets.items()}
        samplers = {name: ConditionalSampler(self.costs[name], levels)
                    for name, levels in budgets.items()}
        pools = [SubnetPool(budget, self.pool_size, self.score_momentum)
                 for levels in budgets.values() for budget in levels]
        self.sampler = PrioritizedSampler(model.search_space, samplers, pools,
                                          self.p, self.t)
        for name, levels in budgets.items():
            runner.logger.info(
                f'{len(levels)} pools for {name}: {levels[0].level:g} to '
                f'{levels[-1].level:g} {self.units[name]} in steps of '
                f'{levels[0].step:g}')

    def before_train(self, runner) -> None:
        """Forgets pools that came with weights to start from."""
        self._seed = shared_seed(runner)
        if runner.iter == 0:
            for pool in self.sampler.pools:
                pool.load({})

    def before_train_iter(self, runner, batch_idx: int,
                          data_batch: Any = None) -> None:
        """Draws what the iteration trains."""
        progress = training_progress(runner)
        plan, self._pool = self.sampler.plan(self._seed, runner.iter,
                                             progress)
        runner.optim_wrapper.plan = plan
        hub = runner.message_hub
        hub.update_scalar('train/p', self.sampler.p(progress))
        hub.update_scalar('train/t', self.sampler.t(progress))
        hub.update_scalar('train/pool_fill', self.sampler.fill)

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """Gives the sampled subnet's score to its pool.

        It is the mean over all processes, so that their pools stay the same.
        An iteration whose gradients were not finite teaches nothing.
        """
        if not runner.optim_wrapper.step_skipped:
            self._pool.update(runner.optim_wrapper.plan[1].subnet,
                              -outputs['task_sampled'].item())

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Writes the pools."""
        checkpoint[STATE_KEY] = self.sampler.state_dict()

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Reads the pools, if there are any."""
        if STATE_KEY in checkpoint:
            self.sampler.load_state_dict(checkpoint[STATE_KEY])


def check_budgets(cfg: Any, resources: List[str]) -> Dict[str, dict]:
    """Checks the budgets of a config as far as that goes without a model.

    Raises:
        InputError: it names the resource and the key.
    """
    if not isinstance(cfg, dict) or not cfg:
        raise InputError(f'budgets={cfg!r} must name at least one resource')
    check_keys(cfg, resources, 'budgets')
    keys = ('start', 'stop', 'step')
    for resource, levels in cfg.items():
        where = f'budgets.{resource}'
        if not isinstance(levels, dict):
            raise InputError(f'{where}={levels!r} must have start, stop and '
                             'step, or pools')
        check_keys(levels, (*keys, 'pools'), where)
        if 'pools' in levels:
            pools = levels['pools']
            if len(levels) > 1:
                raise InputError(f'{where}: it has pools, so it takes no '
                                 f'{", ".join(k for k in keys if k in levels)}')
            if isinstance(pools, bool) or not isinstance(pools, int) or \
                    pools < 1:
                raise InputError(f'{where}.pools={pools!r} must be an integer '
                                 'of at least 1')
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
    check_keys(cfg, ('start', 'ratio'), name)
    start, ratio = cfg.get('start', 1.), cfg.get('ratio', 0.01)
    for key, value in (('start', start), ('ratio', ratio)):
        if not value > 0:
            raise InputError(f'{name}.{key}={value!r} must be above 0')
    return start, ratio
