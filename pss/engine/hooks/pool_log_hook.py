"""Reports the state of the pools during training."""

from typing import Any, Dict, Optional, Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...checks import check_integer
from ...registry import HOOKS
from ...sampling import SubnetPool
from ...structures import Budget
from .pss_sampler_hook import PSSSamplerHook, training_progress


@HOOKS.register_module()
class PoolLogHook(Hook):
    """Writes the state of each pool to MMEngine's visualizer backends.

    The text log has none of it: a line would have hundreds of numbers. For each
    pool, such as ``flops 80``:

    - ``pool_fill/flops_80``: share of its capacity that is taken;
    - ``pool_best/flops_80``: its best score;
    - ``pool_churn/flops_80``: share of its subnets that are new since the last
      report (including those that were dropped and came back);
    - ``pool_entropy/flops_80``: entropy, in nats, of the probabilities to draw
      its subnets, ``softmax(score / t)``; not for an additive score, which
      draws others too;
    - ``pool_spread/flops_80``, with an additive score: the standard deviation
      of the scores of all subnets of the level;
    - ``agreement/flops_80``, when members are validated
      (:class:`.SubnetValLoop`): Spearman's rank correlation of their scores
      and their held-out accuracy; ``agreement/all`` over all of them.

    The step is the number of iterations done. A resumed run writes the same as
    an uninterrupted one.

    Args:
        interval: iterations between reports.
    """

    # after the hook that updates the pools, before the one that saves them
    priority = 'BELOW_NORMAL'

    def __init__(self, interval: int = 500) -> None:
        self.interval = check_integer('pool_log.interval', interval, 1)

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[Dict[str, Any]] = None) -> None:
        """Writes a report, if one is due."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        sampler = next(
            hook.sampler for hook in runner.hooks
            if isinstance(hook, PSSSamplerHook))
        if not sampler.pools:
            return
        logged = sampler.scalars(training_progress(runner))
        spread = getattr(getattr(sampler, 'score', None), 'spread', None)
        if spread is None:
            scalars = pool_scalars(sampler.pools, logged.get('t'))
        else:
            scalars = pool_scalars(sampler.pools, None)
            for pool in sampler.pools:
                if len(pool):
                    scalars[f'pool_spread/{scalar_name(pool.budget)}'] = \
                        spread(pool)
        for pool in sampler.pools:
            pool.settle()
        runner.visualizer.add_scalars(scalars, step=runner.iter + 1)

    def after_val_epoch(self,
                        runner: Runner,
                        metrics: Optional[Dict[str, float]] = None) -> None:
        """Writes how well scores agree with held-out accuracy."""
        agreement = getattr(runner.val_loop, 'agreement', {})
        if agreement:
            runner.visualizer.add_scalars(
                {
                    f'agreement/{name}': value
                    for name, value in agreement.items()
                },
                step=runner.iter)


def pool_scalars(pools: Sequence[SubnetPool],
                 t: Optional[float]) -> Dict[str, float]:
    """Returns the scalars that describe pools, by name.

    Args:
        pools: the pools; empty ones only have a fill.
        t: temperature of their priorities; ``None``, for a user's sampler that
            has none, leaves out the entropy.
    """
    scalars = {}
    for pool in pools:
        name = scalar_name(pool.budget)
        scalars[f'pool_fill/{name}'] = len(pool) / pool.capacity
        if len(pool):
            scalars[f'pool_best/{name}'] = pool.best()[0][1]
            scalars[f'pool_churn/{name}'] = pool.newcomers / len(pool)
            if t is not None:
                scalars[f'pool_entropy/{name}'] = pool.entropy(t)
    return scalars


def scalar_name(budget: Budget) -> str:
    """Returns a pool's name in scalars, without spaces, which TensorBoard does
    not want."""
    return str(budget).replace(' ', '_')
