"""Accuracy of many subnets, without keeping their predictions."""

from typing import Any, Dict, List, Sequence

import torch
from mmengine.dist import all_reduce
from mmengine.evaluator import BaseMetric

from ..checks import check_integer, shown
from ..errors import InputError
from ..registry import METRICS


@METRICS.register_module()
class SubnetAccuracy(BaseMetric):
    """Top-k accuracy in percent, counted batch by batch.

    mmpretrain's ``Accuracy`` keeps the scores of all classes for every image
    until the end: 200 MB for one subnet on ImageNet's validation set, times
    the number of subnets. This metric keeps one count for each ``k``. In
    distributed evaluation it is exact if no two processes get the same image
    (``sampler=dict(..., round_up=False)``), and refuses to evaluate otherwise.

    Args:
        topk: which top-k accuracies to report, as ``topK``.
    """

    default_prefix = 'accuracy'

    def __init__(self, topk: Sequence[int] = (1, ), **kwargs) -> None:
        super().__init__(**kwargs)
        if not isinstance(topk, (list, tuple)) or not topk:
            raise InputError(f'topk={shown(topk)}: expected a list of integers')
        self.topk = tuple(
            check_integer(f'topk[{i}]', k, 1) for i, k in enumerate(topk))
        self._counts = [0] * (1 + len(self.topk))  # images, then correct ones

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Counts one batch."""
        scores = torch.stack([s['pred_score'] for s in data_samples])
        labels = torch.cat([s['gt_label'] for s in data_samples])
        k = min(max(self.topk), scores.shape[1])
        correct = scores.topk(k).indices == labels.to(scores.device)[:, None]
        self._counts[0] += len(labels)
        for i, k in enumerate(self.topk, start=1):
            self._counts[i] += int(correct[:, :k].sum())

    def compute_metrics(self, results: List[int]) -> Dict[str, float]:
        """``topK`` in percent, from the counts of all processes."""
        return {
            f'top{k}': 100. * correct / results[0]
            for k, correct in zip(self.topk, results[1:])
        }

    def evaluate(self, size: int) -> Dict[str, float]:
        """The accuracies over all processes; resets the counts.

        Raises:
            InputError: if there is not one prediction for each image.
        """
        counts = torch.tensor(self._counts)
        all_reduce(counts)
        self._counts = [0] * len(self._counts)
        if counts[0] != size:
            raise InputError(f'{counts[0]} predictions for {size} images: '
                             'expected one each; the dataloader needs '
                             'drop_last=False, and its sampler round_up=False')
        metrics = self.compute_metrics(counts.tolist())
        return {f'{self.prefix}/{key}': v for key, v in metrics.items()}
