"""Shows the state of the pools while training runs."""

from typing import Any, Dict, List, Optional

from mmengine.hooks import Hook

from ...checks import check_integer
from ...registry import HOOKS
from ...sampling import SubnetPool
from ...structures import Budget
from .pss_sampler_hook import PSSSamplerHook, training_progress


@HOOKS.register_module()
class PoolLogHook(Hook):
    """Writes the state of each pool to MMEngine's visualizer backends.

    Not to the log that people read: there would be hundreds of numbers a line.
    For each pool, such as ``flops 80``:

    - ``pool_fill/flops_80``: share of its places that are taken;
    - ``pool_best/flops_80``: its best score;
    - ``pool_churn/flops_80``: share of its subnets that came since the last
      report (a subnet that left and came back is one of them);
    - ``pool_entropy/flops_80``: in nats, of its subnets' probabilities to be
      drawn, ``softmax(score / t)``;
    - ``agreement/flops_80``, at each validation of members
      (:class:`.SubnetValLoop`): Spearman's rank correlation of their scores
      and their held-out accuracy; ``agreement/all`` over all of them.

    The step is the number of iterations done. A resumed run writes what the
    uninterrupted one does.

    Args:
        interval: iterations between reports.
    """

    # after the hook that updates the pools, before the one that saves them
    priority = 'BELOW_NORMAL'

    def __init__(self, interval: int = 500) -> None:
        self.interval = check_integer('pool_log.interval', interval, 1)

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """Writes a report, if it is time for one."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        sampler = next(
            hook.sampler for hook in runner.hooks
            if isinstance(hook, PSSSamplerHook))
        if not sampler.pools:  # of a method that has none
            return
        scalars = pool_scalars(sampler.pools,
                               sampler.t(training_progress(runner)))
        for pool in sampler.pools:
            pool.settle()
        runner.visualizer.add_scalars(scalars, step=runner.iter + 1)

    def after_val_epoch(self,
                        runner,
                        metrics: Optional[Dict[str, float]] = None) -> None:
        """Writes how scores and held-out accuracy agree."""
        agreement = getattr(runner.val_loop, 'agreement', {})
        if agreement:
            runner.visualizer.add_scalars(
                {
                    f'agreement/{name}': value
                    for name, value in agreement.items()
                },
                step=runner.iter)


def pool_scalars(pools: List[SubnetPool], t: float) -> Dict[str, float]:
    """What is reported of pools, by name.

    Args:
        pools: the pools; those that are empty have no best score.
        t: temperature of their priorities.
    """
    scalars = {}
    for pool in pools:
        name = scalar_name(pool.budget)
        scalars[f'pool_fill/{name}'] = len(pool) / pool.capacity
        if len(pool):
            scalars[f'pool_best/{name}'] = pool.best()[0][1]
            scalars[f'pool_churn/{name}'] = pool.newcomers / len(pool)
            scalars[f'pool_entropy/{name}'] = pool.entropy(t)
    return scalars


def scalar_name(budget: Budget) -> str:
    """A pool's name in scalars; TensorBoard wants no spaces in it."""
    return str(budget).replace(' ', '_')
