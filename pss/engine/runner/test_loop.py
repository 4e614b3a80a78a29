"""The test: choosing the best subnet for each budget, and testing it."""

from typing import Any, Dict, Optional, Sequence, Tuple

from ...checks import check_integer, check_text
from ...errors import InputError
from ...models.classifiers.supernet_classifier import Statistics
from ...registry import LOOPS
from ...sampling import Candidates
from ...structures import Subnet
from .subnet_loop import SubnetLoop

# A subnet and its pool's score, if it has one.
Scored = Tuple[Subnet, Optional[float]]


@LOOPS.register_module()
class SubnetTestLoop(SubnetLoop):
    """Chooses the best subnet of every pool and tests it ("After training").

    The best of a pool's candidates is chosen on images held out from the
    training set; test images only measure what was chosen.

    Args:
        selection_dataloader: the held-out images.
        candidates: how many of a pool's subnets to try, best scores first.
        metric: the metric to choose by, as the evaluator names it without its
            prefix; higher is better. It counts as 0 if the evaluator returns no
            metrics because a detector found nothing at all.
        selection_evaluator: config of the metrics on the held-out images,
            if those of the test images do not fit, for example because
            annotations differ.
        *args, **kwargs: as for :class:`SubnetLoop`.

    Attributes:
        results: after :meth:`run`, see :mod:`pss.evaluation.results`.
        statistics: after :meth:`run`, the batch-norm statistics of the
            subnets in the results.
    """

    mode = 'test'

    def __init__(self,
                 *args: Any,
                 selection_dataloader: Any,
                 candidates: int = 5,
                 metric: str = 'top1',
                 selection_evaluator: Any = None,
                 **kwargs: Any) -> None:
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
        """Chooses and tests; returns ``largest/top1``, ``flops 80/top1`` and
        so on."""
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
                'the checkpoint has no subnets in its pools; expected one '
                'written by training with pss.PSSSamplerHook' if sampler.
                pools else 'the sampler has no subnet to choose for any of '
                'the budgets')
        empty = [str(b) for b in sampler.budgets if b not in candidates]
        if empty:
            what, why = ('pools are empty and', 'training was short') \
                if sampler.pools else \
                ('budgets are', 'the sampler has no subnet for them')
            self.runner.logger.warning(
                f'{len(empty)} of {len(sampler.budgets)} {what} left out of '
                f'the results ({why}): {", ".join(empty)}')

    def _best(self, candidates: Sequence[Scored],
              held_out: Dict[Subnet, Dict[str, float]]) -> Scored:
        """Returns the best candidate on the held-out images."""
        return max(
            candidates, key=lambda scored: self.metric_of(held_out[scored[0]]))
