"""Calibrating and evaluating many subnets at once."""

import copy
import math
from itertools import islice
from typing import Any, Dict, List, Optional, Sequence

import torch
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import DataLoader

from ...checks import check_boolean, check_integer
from ...errors import InputError
from ...models.calibration import calibrate
from ...models.classifiers.supernet_classifier import (
    Statistics,
    SupernetClassifier,
)
from ...models.shared_prefixes import SharedPrefixes
from ...resources import cost_field
from ...structures import Subnet
from ..hooks import PSSSamplerHook
from ..precision import amp_type, default_amp, mixed_precision
from ..randomness import seeded
from .loading import checked, outliving
from .progress import logged


class SubnetLoop(BaseLoop):
    """Base of the validation and test loops: calibrates and evaluates subnets.

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
        fp16: whether to run in mixed precision, as in MMEngine's loops:
            float16 on a GPU, bfloat16 on a CPU.
        amp: ``'float16'`` or ``'bfloat16'``, to choose the type.

    Raises:
        InputError: for an impossible value or missing data; it names the
            field of the config.
    """

    mode: str  # 'val' or 'test', as in val_cfg and test_cfg
    metric: str  # that subnets are compared by
    dataloader: DataLoader[Any]

    def __init__(self,
                 runner: Runner,
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
        outliving(self.dataloader)
        self.evaluator = self._evaluator(evaluator, self.dataloader)
        self.calibration_dataloader = self._build(
            calibration_dataloader, f'{cfg}.calibration_dataloader')
        self.amp_type = amp_type(amp or (default_amp() if fp16 else None))

    def _build(self, dataloader: Any, where: str, exact: bool = False) -> Any:
        dataloader = checked(self.runner, dataloader, where, exact)
        if isinstance(dataloader, DataLoader):
            return dataloader
        return outliving(
            self.runner.build_dataloader(dataloader, seed=self.runner.seed))

    def _evaluator(self, evaluator: Any, dataloader: Any) -> Evaluator:
        """Builds an evaluator for the images of a dataloader."""
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
        """The hook with the sampler and the costs."""
        for hook in self.runner.hooks:
            if isinstance(hook, PSSSamplerHook):
                return hook
        raise InputError('default_hooks: expected pss.PSSSamplerHook among '
                         'them; this loop needs its pools and costs')

    def calibrate(self,
                  subnets: Sequence[Subnet],
                  batches: Optional[int] = None) -> Dict[Subnet, Statistics]:
        """Returns batch-norm statistics of subnets, always of the same images.

        Args:
            subnets: the subnets.
            batches: how many batches are used, if not
                ``calibration_batches``.
        """
        num = min(batches or self.calibration_batches,
                  len(self.calibration_dataloader))
        what = f'Calibrating {len(subnets)} subnets'
        with seeded(self.runner.seed), mixed_precision(self.amp_type):
            self.calibration_dataloader.sampler.set_epoch(0)
            images = (
                self.model.data_preprocessor(batch, False)['inputs']
                for batch in islice(self.calibration_dataloader, num))
            return calibrate(self.model, subnets, logged(images, num, what))

    @torch.no_grad()
    def evaluate(
        self,
        statistics: Dict[Subnet, Statistics],
        dataloader: Any,
        what: str,
        hooks: bool = True,
        evaluator: Optional[Evaluator] = None
    ) -> Dict[Subnet, Dict[str, float]]:
        """Evaluates subnets, all of them on each batch.

        Args:
            statistics: subnets and their batch-norm statistics.
            dataloader: the images.
            what: what they are, for the log.
            hooks: whether to call the runner's hooks for each batch, with the
                predictions of the last subnet.
            evaluator: of the metrics, if not the loop's.

        Returns:
            For each subnet its metrics, as the evaluator names them.
        """
        model = self.model
        model.eval()
        evaluators = {
            s: copy.deepcopy(evaluator or self.evaluator)
            for s in statistics
        }
        runs = SharedPrefixes(model, [*statistics], statistics)
        last = next(reversed(statistics), None)
        shown: List[Any] = []
        what = f'Evaluating {len(statistics)} subnets on {what}'
        call_hook = self.runner.call_hook if hooks else _no_hook
        for i, batch in enumerate(logged(dataloader, len(dataloader), what)):
            call_hook(f'before_{self.mode}_iter', batch_idx=i, data_batch=batch)
            data = model.data_preprocessor(batch, False)
            for subnet in runs:
                model.switch_to(subnet, statistics[subnet])
                with mixed_precision(self.amp_type):
                    outputs = model(**data, mode='predict')
                evaluators[subnet].process(outputs, batch)
                if subnet == last:
                    shown = outputs
            call_hook(
                f'after_{self.mode}_iter',
                batch_idx=i,
                data_batch=batch,
                outputs=shown)
        model.switch_to(model.search_space.largest)
        size = len(dataloader.dataset)
        return {s: e.evaluate(size) for s, e in evaluators.items()}

    def row(self, subnet: Subnet, metrics: Dict[str, float]) -> Dict[str, Any]:
        """Returns a subnet's entry in the results."""
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
        """Returns the value of the metric that subnets are compared by."""
        if not metrics:  # CocoMetric's way to say that nothing was detected
            return 0.
        values = {key.split('/')[-1]: float(v) for key, v in metrics.items()}
        if self.metric not in values:
            raise InputError(f'{self.mode}_cfg.metric={self.metric!r}: '
                             'expected one of the evaluator\'s metrics, '
                             f'{sorted(values)}')
        if math.isnan(values[self.metric]):  # NaN cannot be compared
            raise InputError(f'{self.mode}_cfg.metric={self.metric!r}: the '
                             'evaluator returned nan; expected a number')
        return values[self.metric]


def _no_hook(name: str, **kwargs: Any) -> None:
    """Replaces ``Runner.call_hook`` where hooks are not called."""
