"""Decides what each iteration trains."""

from typing import Any, Dict, Optional

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner

from ...checks import LARGEST_SEED, check_integer
from ...errors import InputError
from ...registry import HOOKS
from ...resources import build_resources, cost_tables
from ...sampling import Sampler, SubnetPool, place_budgets, read_budgets
from ...structures import CostTable
from ..checkpoints.entries import POOLS_KEY
from ..randomness import shared_seed
from ..samplers import build_sampler, check_sampler


@HOOKS.register_module()
class PSSSamplerHook(Hook):
    """Lets a sampler decide what every iteration trains (Sec. III-C).

    ::

        for batch in train_dataloader:
            hook.before_train_iter()     # plans largest, sampled, smallest
            model.train_step(batch)      # the optimizer wrapper trains them
            hook.after_train_iter()      # scores the sampled one in its pool

    Every checkpoint holds the pools and their scores.

    Args:
        budgets: the levels that get a subnet, for each resource, in its unit:
            ``start``, ``stop`` (both included) and ``step``; or ``pools``, how
            many of them to spread over the costs that the space reaches.
        sampler: config of the sampler of subnets, ``pss.PrioritizedSampler``
            by default. ``p=dict(ratio=1.)`` makes that random sampling;
            ``type='pss.UniformSampler'`` is US-Net or MutualNet; register your
            own class in ``pss.registry.SAMPLERS``, see :class:`.Sampler`.
        resources: configs of resources by name, see
            :func:`.build_resources`. ``flops`` (MFLOPs) always
            exists. Costs in resources without budgets are only reported.
        draw_seed: seed of the draws of subnets; the run's by default. With
            another one, a run of the same seed trains other subnets from the
            same initial weights on the same images.

    Attributes:
        costs (dict[str, CostTable]): what subnets cost, for each resource.
        units (dict[str, str]): the unit of each resource's costs.

    Raises:
        InputError: for impossible budgets, resources or samplers.
    """

    priority = 'NORMAL'

    def __init__(self,
                 budgets: Dict[str, Dict[str, float]],
                 sampler: Optional[Dict[str, Any]] = None,
                 resources: Optional[Dict[str, Dict[str, Any]]] = None,
                 draw_seed: Optional[int] = None) -> None:
        if draw_seed is not None:
            check_integer('pss_sampler.draw_seed', draw_seed, 0, LARGEST_SEED)
        self._draw_seed = draw_seed
        self.resources = build_resources(resources)
        self.budgets = read_budgets(budgets, list(self.resources))
        self._config = check_sampler({} if sampler is None else sampler)
        self._sampler: Optional[Sampler] = None
        self.costs: Dict[str, CostTable] = {}
        self.units: Dict[str, str] = {
            name: resource.unit
            for name, resource in self.resources.items()
        }
        self._seed = 0
        self._pool: Optional[SubnetPool] = None

    @property
    def sampler(self) -> Sampler:
        """Plans iterations, and holds the pools; built before the run."""
        assert self._sampler is not None, 'before_run builds it'
        return self._sampler

    def before_run(self, runner: Runner) -> None:
        """Computes the costs and builds the sampler, before anything is
        loaded."""
        if self._sampler is not None:
            return
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        # for a detector: its backbone, at the size of its images
        self.costs = cost_tables(self.resources, model.costed)
        budgets = place_budgets(self.budgets, self.costs)
        self._sampler = build_sampler(
            self._config, model.search_space,
            {name: self.costs[name]
             for name in budgets},
            [budget for levels in budgets.values() for budget in levels])
        what = 'pools' if self.sampler.pools else 'budgets'
        for name, levels in budgets.items():
            runner.logger.info(
                f'{len(levels)} {what} for {name}: {levels[0].level:g} to '
                f'{levels[-1].level:g} {self.units[name]} in steps of '
                f'{levels[0].step:g}')

    def before_train(self, runner: Runner) -> None:
        """Empties pools that ``load_from`` loaded with the weights."""
        self._seed = shared_seed(runner) if self._draw_seed is None \
            else self._draw_seed
        if runner.iter == 0:
            if hasattr(self.sampler, 'reset'):
                self.sampler.reset()
            else:
                for pool in self.sampler.pools:
                    pool.load({})

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: Any = None) -> None:
        """Plans the iteration."""
        progress = training_progress(runner)
        plan, self._pool = self.sampler.plan(self._seed, runner.iter, progress)
        names = [name for name, *_ in plan]
        if len(set(names)) < len(names):
            raise InputError(f'pss_sampler.sampler: passes {names} of an '
                             'iteration; expected different names')
        runner.optim_wrapper.plan = plan
        for name, value in self.sampler.scalars(progress).items():
            runner.message_hub.update_scalar(f'train/{name}', value)

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[Dict[str, Any]] = None) -> None:
        """Lets the sampler score the sampled subnet.

        Losses are means over all processes, so that their pools stay the same.
        Iterations whose gradients were not finite are not scored.
        """
        assert outputs is not None, 'the optimizer wrapper returns them'
        if self._pool is None or runner.optim_wrapper.step_skipped:
            return
        plan = runner.optim_wrapper.plan
        # the first pass has no teacher, so that its loss is the task's
        losses = {
            name:
            outputs[f'task_{name}' if f'task_{name}' in
                    outputs else f'loss_{name}'].item()
            for name, *_ in plan
        }
        if hasattr(self.sampler, 'observe'):
            self.sampler.observe(self._pool, plan[1], losses)
        else:
            self._pool.update(plan[1].subnet, -losses[plan[1].name])

    def before_save_checkpoint(self, runner: Runner,
                               checkpoint: Dict[str, Any]) -> None:
        """Adds the pools to the checkpoint."""
        checkpoint[POOLS_KEY] = self.sampler.state_dict()

    def after_load_checkpoint(self, runner: Runner,
                              checkpoint: Dict[str, Any]) -> None:
        """Restores the pools, if the checkpoint has any."""
        if POOLS_KEY in checkpoint:
            self.sampler.load_state_dict(checkpoint[POOLS_KEY])


def training_progress(runner: Runner) -> float:
    """Returns the share of training that is done: epoch / epochs, from 0; with
    ``IterBasedTrainLoop``, which has no epochs, iteration / iterations.
    """
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        return runner.iter / runner.max_iters
    return runner.epoch / runner.max_epochs
