"""Decides what each iteration trains."""

import math
from typing import Any, Dict, List, Optional, Tuple

from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop

from ...errors import InputError
from ...registry import HOOKS, check_keys
from ...resources import flops_table
from ...sampling import ConditionalSampler, PrioritizedSampler, SubnetPool
from ...structures import Budget, CostTable, budgets_of

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
        budgets: the levels that have a pool, for each resource: ``start``,
            ``stop`` (both included) and ``step``; ``flops`` in MFLOPs.
        pool_size: most subnets in a pool.
        score_momentum: share of the old score when a subnet is scored again.
        p: probability to draw from the whole space rather than from a pool:
            ``start`` and ``ratio`` of its decay, ``start * ratio ** (epoch /
            epochs)``.
        t: temperature of the priorities in a pool, likewise.

    Attributes:
        sampler (PrioritizedSampler): draws, and holds the pools.
        costs (dict[str, CostTable]): what subnets cost, for each resource.
    """

    priority = 'NORMAL'

    def __init__(self,
                 budgets: Dict[str, Dict[str, float]],
                 pool_size: int = 50,
                 score_momentum: float = 0.9,
                 p: Dict[str, float] = dict(start=1., ratio=0.01),
                 t: Dict[str, float] = dict(start=1., ratio=0.01)) -> None:
        self.budgets = parse_budgets(budgets)
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
        self._pool: Optional[SubnetPool] = None

    def before_run(self, runner) -> None:
        """Counts the costs and builds the sampler, before anything loads."""
        if self.sampler is not None:
            return
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        self.costs = {'flops': flops_table(model)}
        samplers = {
            resource: ConditionalSampler(
                self.costs[resource],
                [b for b in self.budgets if b.resource == resource])
            for resource in dict.fromkeys(b.resource for b in self.budgets)
        }
        pools = [SubnetPool(budget, self.pool_size, self.score_momentum)
                 for budget in self.budgets]
        self.sampler = PrioritizedSampler(model.search_space, samplers, pools,
                                          self.p, self.t)

    def before_train(self, runner) -> None:
        """Forgets pools that came with weights to start from."""
        if runner.iter == 0:
            for pool in self.sampler.pools:
                pool.load({})

    def before_train_iter(self, runner, batch_idx: int,
                          data_batch: Any = None) -> None:
        """Draws what the iteration trains."""
        progress = training_progress(runner)
        plan, self._pool = self.sampler.plan(runner.seed, runner.iter,
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
        """Gives the sampled subnet's score to its pool."""
        subnet = runner.optim_wrapper.plan[1].subnet
        # the mean over all processes, so that their pools stay the same
        task = outputs['task_sampled'].clone()
        all_reduce(task, 'mean')
        score = -task.item()
        if not math.isfinite(score):
            raise FloatingPointError(
                f'iteration {runner.iter + 1}: the cross-entropy of {subnet} '
                f'is {-score}; the pools and the last checkpoint are without '
                'it')
        self._pool.update(subnet, score)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Writes the pools."""
        checkpoint[STATE_KEY] = self.sampler.state_dict()

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Reads the pools, if there are any."""
        if STATE_KEY in checkpoint:
            self.sampler.load_state_dict(checkpoint[STATE_KEY])


def parse_budgets(cfg: Dict[str, Dict[str, float]]) -> List[Budget]:
    """The budgets of a config, for each resource in turn."""
    if not isinstance(cfg, dict) or not cfg:
        raise InputError(f'budgets={cfg!r} must name at least one resource')
    check_keys(cfg, ('flops', ), 'budgets')
    budgets: List[Budget] = []
    for resource, levels in cfg.items():
        keys = ('start', 'stop', 'step')
        check_keys(levels, keys, f'budgets.{resource}')
        for key in keys:
            if key not in levels:
                raise InputError(f'budgets.{resource}: {key!r} is missing; '
                                 f'it has {sorted(levels)}')
        budgets += budgets_of(resource, **levels)
    return budgets


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
