"""Validation and test loops for many subnets at once."""

import copy
import math
from itertools import islice
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop
from torch.utils.data import DataLoader

from ...checks import check_boolean, check_integer, check_text
from ...errors import InputError
from ...models.calibration import calibrate
from ...models.classifiers.supernet_classifier import (
    Statistics,
    SupernetClassifier,
)
from ...registry import LOOPS
from ...resources import cost_field
from ...sampling import Candidates, SubnetPool, rank_correlation
from ...structures import Subnet
from ..hooks import PSSSamplerHook
from ..hooks.pool_log_hook import scalar_name
from ..precision import amp_type, default_amp, mixed_precision
from ..randomness import seeded, shared_seed
from .loading import checked
from .progress import logged

# A subnet and its pool's score, if it has one.
Scored = Tuple[Subnet, Optional[float]]


class SubnetLoop(BaseLoop):
    """What validation and test share: calibrating and evaluating subnets.

    Every image is loaded, decoded and preprocessed once; all subnets run on a
    batch before the next is loaded.

    Args:
        runner: the runner.
        dataloader: the images to evaluate on.
        evaluator: config of the metrics; every subnet gets its own.
        calibration_dataloader: augmented training images, for the subnets'
            batch-norm statistics.
        calibration_batches: how many of its batches are used (the paper: 9 of
            1024 images).
        fp16: whether to run with mixed precision, as in MMEngine's loops:
            float16 on a GPU, bfloat16 on a CPU.
        amp: ``'float16'`` or ``'bfloat16'``, if it is to be one of these.

    Raises:
        InputError: for a value that cannot be, and for data that is not there;
            it names the field as the config has it.
    """

    mode: str  # 'val' or 'test', as in the names of the config's fields

    def __init__(self,
                 runner,
                 dataloader: Any,
                 evaluator: Any,
                 calibration_dataloader: Any,
                 calibration_batches: int = 9,
                 fp16: bool = False,
                 amp: Optional[str] = None) -> None:
        cfg = f'{self.mode}_cfg'
        self.calibration_batches = check_integer(f'{cfg}.calibration_batches',
                                                 calibration_batches, 1)
        check_boolean(f'{cfg}.fp16', fp16)
        super().__init__(
            runner,
            checked(runner, dataloader, f'{self.mode}_dataloader', exact=True))
        self.evaluator = self._evaluator(evaluator, self.dataloader)
        self.calibration_dataloader = self._build(
            calibration_dataloader, f'{cfg}.calibration_dataloader')
        self.amp_type = amp_type(amp or (default_amp() if fp16 else None))

    def _build(self,
               dataloader: Any,
               where: str,
               exact: bool = False) -> DataLoader:
        dataloader = checked(self.runner, dataloader, where, exact)
        if isinstance(dataloader, DataLoader):
            return dataloader
        return self.runner.build_dataloader(dataloader, seed=self.runner.seed)

    def _evaluator(self, evaluator: Any, dataloader: DataLoader) -> Evaluator:
        """An evaluator for the images of a dataloader."""
        if not isinstance(evaluator, Evaluator):
            evaluator = self.runner.build_evaluator(evaluator)
        evaluator.dataset_meta = dataloader.dataset.metainfo
        return evaluator

    @property
    def model(self) -> SupernetClassifier:
        """The supernet, without its distributed wrapper."""
        model = self.runner.model
        return model.module if is_model_wrapper(model) else model

    @property
    def sampler_hook(self) -> PSSSamplerHook:
        """The hook that holds the pools and the costs."""
        for hook in self.runner.hooks:
            if isinstance(hook, PSSSamplerHook):
                return hook
        raise InputError('custom_hooks: pss.PSSSamplerHook is missing; the '
                         'loop takes pools and costs from it')

    def calibrate(self, subnets: Sequence[Subnet]) -> Dict[Subnet, Statistics]:
        """Batch-norm statistics of subnets, always from the same images."""
        num = min(self.calibration_batches, len(self.calibration_dataloader))
        what = f'Calibrating {len(subnets)} subnets'
        with seeded(self.runner.seed), mixed_precision(self.amp_type):
            self.calibration_dataloader.sampler.set_epoch(0)
            batches = (
                self.model.data_preprocessor(batch, False)['inputs']
                for batch in islice(self.calibration_dataloader, num))
            return calibrate(self.model, subnets, logged(batches, num, what))

    @torch.no_grad()
    def evaluate(
        self,
        statistics: Dict[Subnet, Statistics],
        dataloader: DataLoader,
        what: str,
        hooks: bool = True,
        evaluator: Optional[Evaluator] = None
    ) -> Dict[Subnet, Dict[str, float]]:
        """The metrics of subnets.

        Args:
            statistics: subnets and their batch-norm statistics.
            dataloader: the images.
            what: is evaluated on, for the log.
            hooks: whether the runner's hooks see the batches, with the
                predictions of the last subnet.
            evaluator: of the metrics, if not the loop's.
        """
        model = self.model
        model.eval()
        evaluators = {
            s: copy.deepcopy(evaluator or self.evaluator)
            for s in statistics
        }
        what = f'Evaluating {len(statistics)} subnets on {what}'
        call_hook = self.runner.call_hook if hooks else _no_hook
        for i, batch in enumerate(logged(dataloader, len(dataloader), what)):
            call_hook(f'before_{self.mode}_iter', batch_idx=i, data_batch=batch)
            data = model.data_preprocessor(batch, False)
            outputs: List = []
            for subnet, values in statistics.items():
                model.switch_to(subnet, values)
                with mixed_precision(self.amp_type):
                    outputs = model(**data, mode='predict')
                evaluators[subnet].process(outputs, batch)
            call_hook(
                f'after_{self.mode}_iter',
                batch_idx=i,
                data_batch=batch,
                outputs=outputs)
        model.switch_to(model.search_space.largest)
        size = len(dataloader.dataset)
        return {s: e.evaluate(size) for s, e in evaluators.items()}

    def row(self, subnet: Subnet, metrics: Dict[str, float]) -> Dict[str, Any]:
        """A subnet's entry in the results."""
        codes = self.model.search_space.encode([subnet])
        costs = {
            cost_field(name): float(cost(codes)[0])
            for name, cost in self.sampler_hook.costs.items()
        }
        return dict(
            subnet=subnet.as_dict(),
            **costs,
            **{
                key.split('/')[-1]: float(value)
                for key, value in metrics.items()
            })

    def metric_of(self, metrics: Dict[str, float]) -> float:
        """The metric that subnets are compared by."""
        if not metrics:  # as CocoMetric says that nothing was detected
            return 0.
        values = {key.split('/')[-1]: float(v) for key, v in metrics.items()}
        if self.metric not in values:
            raise InputError(f'{self.mode}_cfg.metric={self.metric!r} is not '
                             f'what the evaluator gives: {sorted(values)}')
        if math.isnan(values[self.metric]):  # it would be neither best nor not
            raise InputError(f'{self.mode}_cfg.metric={self.metric!r}: the '
                             'evaluator gives nan; expected a number')
        return values[self.metric]


@LOOPS.register_module()
class SubnetValLoop(SubnetLoop):
    """Validates the ends of the space in training, and subnets of pools.

    Args:
        pools: whether to validate the best subnet of every pool too.
        ranked_pools: so many pools, drawn anew each time, are asked how well
            their scores agree with accuracy on these images.
        ranked_members: so many subnets of each of those are validated, evenly
            over its order by score.
        metric: the accuracy, as the evaluator names it without its prefix.
        *args, **kwargs: as for :class:`SubnetLoop`.

    Attributes:
        agreement: after :meth:`run`, Spearman's rank correlation of score and
            metric for each of those pools, and for ``all`` their members.
    """

    mode = 'val'

    def __init__(self,
                 *args,
                 pools: bool = False,
                 ranked_pools: int = 0,
                 ranked_members: int = 3,
                 metric: str = 'top1',
                 **kwargs) -> None:
        self.pools = check_boolean('val_cfg.pools', pools)
        self.ranked_pools = check_integer('val_cfg.ranked_pools', ranked_pools,
                                          0)
        self.ranked_members = check_integer('val_cfg.ranked_members',
                                            ranked_members, 2)
        self.metric = check_text('val_cfg.metric', metric)
        super().__init__(*args, **kwargs)
        self.agreement: Dict[str, float] = {}

    def run(self) -> Dict[str, float]:
        """Gives ``largest/top1``, ``smallest/top1`` and so on, and
        ``pools/agreement`` (NaN where it is not defined)."""
        self.runner.call_hook('before_val')
        self.runner.call_hook('before_val_epoch')
        space = self.model.search_space
        names = {'largest': space.largest, 'smallest': space.smallest}
        if self.pools:
            names.update({
                str(budget): best[0][0]
                for budget, best in self.sampler_hook.sampler.candidates(
                    1).items()
            })
        ranked = self._ranked()
        members = [subnet for _, scored in ranked for subnet, _ in scored]
        statistics = self.calibrate(
            list(dict.fromkeys([*names.values(), *members])))
        found = self.evaluate(statistics, self.dataloader, 'held-out images')
        metrics = {
            f'{name}/{key.split("/")[-1]}': value
            for name, subnet in names.items()
            for key, value in found[subnet].items()
        }
        self.agreement = self._agreement(ranked, found)
        if self.ranked_pools:
            # MMEngine's log would repeat the last one where there is none
            metrics['pools/agreement'] = self.agreement.get('all', math.nan)
        self.runner.call_hook('after_val_epoch', metrics=metrics)
        self.runner.call_hook('after_val')
        return metrics

    def _ranked(self) -> List[Tuple[SubnetPool, List[Tuple[Subnet, float]]]]:
        """Pools, drawn by seed and iteration, and members with their scores."""
        if not self.ranked_pools:
            return []
        pools = [p for p in self.sampler_hook.sampler.pools if len(p)]
        rng = np.random.default_rng(
            [shared_seed(self.runner), self.runner.iter])
        drawn = rng.permutation(len(pools))[:self.ranked_pools]
        return [(pools[i], pools[i].spread(self.ranked_members))
                for i in sorted(drawn)]

    def _agreement(self, ranked: List[Tuple[SubnetPool, List]],
                   found: Dict[Subnet, Dict[str, float]]) -> Dict[str, float]:
        """Rank correlations, where they are defined."""
        groups = {scalar_name(pool.budget): scored for pool, scored in ranked}
        groups['all'] = [entry for _, scored in ranked for entry in scored]
        agreement = {
            name:
            rank_correlation(
                [score for _, score in scored],
                [self.metric_of(found[subnet]) for subnet, _ in scored])
            for name, scored in groups.items()
        }
        return {k: v for k, v in agreement.items() if v is not None}


@LOOPS.register_module()
class SubnetTestLoop(SubnetLoop):
    """Chooses the best subnet of every pool and tests it ("After training").

    The best of a pool's candidates is chosen on images held out from the
    training set; the test images serve only for the figure that is reported.

    Args:
        selection_dataloader: the held-out images.
        candidates: how many of a pool's subnets are tried, best scores first.
        metric: the metric that the best is chosen by, as the evaluator names
            it without its prefix; higher is better. One that it does not give,
            since a detector found nothing at all, counts as 0.
        selection_evaluator: config of the metrics on the held-out images, if
            not those of the test images: with annotations of their own, say.
        *args, **kwargs: as for :class:`SubnetLoop`.

    Attributes:
        results: after :meth:`run`, see :mod:`pss.evaluation.results`.
        statistics: after :meth:`run`, those of the subnets in the results.
    """

    mode = 'test'

    def __init__(self,
                 *args,
                 selection_dataloader: Any,
                 candidates: int = 5,
                 metric: str = 'top1',
                 selection_evaluator: Any = None,
                 **kwargs) -> None:
        self.candidates = check_integer('test_cfg.candidates', candidates, 1)
        self.metric = check_text('test_cfg.metric', metric)
        super().__init__(*args, **kwargs)
        self.selection_dataloader = self._build(
            selection_dataloader, 'test_cfg.selection_dataloader', exact=True)
        self.selection_evaluator = None if selection_evaluator is None else \
            self._evaluator(selection_evaluator, self.selection_dataloader)
        self.results: Optional[Dict[str, Any]] = None
        self.statistics: Dict[Subnet, Statistics] = {}

    def run(self) -> Dict[str, float]:
        """Gives ``largest/top1``, ``flops 80/top1`` and so on."""
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        candidates = self.sampler_hook.sampler.candidates(self.candidates)
        self._report_empty(candidates)
        space = self.model.search_space
        ends = [space.largest, space.smallest]
        chosen = [s for best in candidates.values() for s, _ in best]
        statistics = self.calibrate(list(dict.fromkeys(ends + chosen)))

        held_out = self.evaluate(
            {s: statistics[s]
             for s in dict.fromkeys(ends + chosen)},
            self.selection_dataloader,
            'held-out images',
            hooks=False,
            evaluator=self.selection_evaluator)
        kept = [(budget, *self._best(found, held_out))
                for budget, found in candidates.items()]
        self.statistics = {
            s: statistics[s]
            for s in dict.fromkeys(ends + [subnet for _, subnet, _ in kept])
        }
        tested = self.evaluate(self.statistics, self.dataloader, 'test images')

        def row(subnet):
            chosen_by = {
                f'held_out_{self.metric}': self.metric_of(held_out[subnet])
            }
            found = tested[subnet] or {self.metric: 0.}
            return dict(self.row(subnet, found), **chosen_by)

        self.results = dict(
            resources=dict(self.sampler_hook.units),
            largest=row(space.largest),
            smallest=row(space.smallest),
            pools=[
                dict(
                    resource=budget.resource,
                    level=budget.level,
                    **row(subnet),
                    **({} if score is None else dict(score=score)))
                for budget, subnet, score in kept
            ])
        metrics = {}
        for name, subnet in (('largest', space.largest), ('smallest',
                                                          space.smallest),
                             *((str(b), s) for b, s, _ in kept)):
            for key, value in tested[subnet].items():
                metrics[f'{name}/{key.split("/")[-1]}'] = value
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def _report_empty(self, candidates: Candidates) -> None:
        sampler = self.sampler_hook.sampler
        if not candidates:
            raise InputError(
                'the checkpoint has no subnets in its pools: it was not '
                'written by training with pss.PSSSamplerHook' if sampler.pools
                else 'no subnet of one multiplier has a cost inside any of '
                'the budgets')
        empty = [str(b) for b in sampler.budgets if b not in candidates]
        if empty:
            what, why = ('pools are empty and', 'training was short') \
                if sampler.pools else \
                ('budgets are', 'no multiplier gives a cost inside them')
            self.runner.logger.warning(
                f'{len(empty)} of {len(sampler.budgets)} {what} left out of '
                f'the results ({why}): {", ".join(empty)}')

    def _best(self, candidates: Sequence[Scored],
              held_out: Dict[Subnet, Dict[str, float]]) -> Scored:
        """A budget's best subnet on the held-out images, and its score."""
        return max(
            candidates, key=lambda scored: self.metric_of(held_out[scored[0]]))


def _no_hook(name: str, **kwargs) -> None:
    """Stands in for the runner's hooks."""
