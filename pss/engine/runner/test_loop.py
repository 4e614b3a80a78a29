"""The test: choosing the best subnet for each budget, and testing it."""

import re
from typing import Any, Dict, List, Optional

from ...checks import check_integer, check_keys, check_text
from ...errors import InputError
from ...models.classifiers.supernet_classifier import Statistics
from ...registry import LOOPS
from ...sampling import place_limits, read_limits
from ...search import SubnetSearch, standard_error
from ...structures import Budget, CostTable, Subnet
from .choosing import check_search, choose_by_score, choose_by_search
from .held_out_hits import TOP_K
from .subnet_loop import SubnetLoop

LIMITS = 'test_cfg.search.budgets'  # in a config


@LOOPS.register_module()
class SubnetTestLoop(SubnetLoop):
    """Chooses a subnet for every budget and tests it ("After training").

    It is chosen on images held out from the training set; test images only
    measure what was chosen.

    Args:
        selection_dataloader: the held-out images.
        search: how to search all subnets of each level, see
            :class:`.SubnetSearch`: ``candidates``, ``finalists`` and ``share``;
            and ``budgets``, the most that subnets may cost, instead of the
            trained levels: for each resource a list of levels, or ``start``,
            ``stop`` and ``step``. ``None`` tries each pool's best by score, as
            the published program does.
        candidates: without a search, how many of a pool's subnets to try, best
            scores first.
        metric: the metric to choose by, as the evaluator names it without its
            prefix; higher is better. It counts as 0 if the evaluator returns no
            metrics because a detector found nothing at all. A search needs a
            top-k accuracy.
        selection_evaluator: without a search, config of the metrics on the
            held-out images, if those of the test images do not fit, for example
            because annotations differ.
        args, kwargs: as for :class:`.SubnetLoop`.

    Attributes:
        results: after :meth:`run`, see :mod:`pss.evaluation.results`.
        statistics: after :meth:`run`, the batch-norm statistics of the
            subnets in the results.
    """

    mode = 'test'

    def __init__(self,
                 *args: Any,
                 selection_dataloader: Any,
                 search: Optional[Dict[str, Any]] = None,
                 candidates: int = 5,
                 metric: str = 'top1',
                 selection_evaluator: Any = None,
                 **kwargs: Any) -> None:
        self.candidates = check_integer('test_cfg.candidates', candidates, 1)
        self.metric = check_text('test_cfg.metric', metric)
        self.search = None if search is None else _search(search)
        self._limits = None if search is None else search.get('budgets')
        super().__init__(*args, **kwargs)
        self.selection_dataloader = self._build(
            selection_dataloader, 'test_cfg.selection_dataloader', exact=True)
        self.selection_evaluator = None if selection_evaluator is None else \
            self._evaluator(selection_evaluator, self.selection_dataloader)
        if self.search is not None:
            check_search(self)
        if self._limits is not None:
            read_limits(self._limits, self.sampler_hook.resources, LIMITS)
        self.results: Optional[Dict[str, Any]] = None
        self.statistics: Dict[Subnet, Statistics] = {}

    def limits(self, costs: Dict[str, CostTable]) -> List[Budget]:
        """The limits to search for, if there are any.

        Args:
            costs: what subnets cost in each resource.

        Raises:
            InputError: for an unknown resource or an impossible limit.
        """
        if self._limits is None:
            return []
        return place_limits(
            read_limits(self._limits, costs, LIMITS), costs, LIMITS)

    def run(self) -> Dict[str, float]:
        """Chooses and tests; returns ``largest/top1``, ``flops 80/top1`` and
        so on."""
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        choose = choose_by_score if self.search is None else choose_by_search
        choice = choose(self)
        self.statistics = choice.statistics
        tested = self.evaluate(self.statistics, self.dataloader, 'test images')
        if self.search is not None:  # which needs no evaluator
            for metrics in tested.values():
                self.metric_of(metrics)  # or the evaluator has no such metric
        dataset: Any = self.dataloader.dataset
        images = len(dataset)

        def row(subnet: Subnet) -> Dict[str, Any]:
            found = self.row(subnet, tested[subnet] or {self.metric: 0.})
            errors = {
                f'{name}_se': standard_error(value, images)
                for name, value in found.items() if re.fullmatch(TOP_K, name)
            }
            return dict(found, **errors, **choice.held_out[subnet])

        space = self.model.search_space
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
                for budget, subnet, score in choice.kept
            ],
            evaluated=[
                dict(self.row(subnet, {}), **found)
                for subnet, found in choice.evaluated
            ])
        metrics = {}
        for name, subnet in (('largest', space.largest), ('smallest',
                                                          space.smallest),
                             *((str(b), s) for b, s, _ in choice.kept)):
            for key, value in tested[subnet].items():
                metrics[f'{name}/{key.split("/")[-1]}'] = value
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics


def _search(cfg: Any) -> SubnetSearch:
    """The search of a config.

    Raises:
        InputError: for an unknown key or an impossible value.
    """
    where = 'test_cfg.search'
    if not isinstance(cfg, dict):
        raise InputError(f'{where}={cfg!r}: expected None, or a dict of '
                         'candidates, finalists, share and budgets')
    check_keys(cfg, ('candidates', 'finalists', 'share', 'budgets'), where)
    return SubnetSearch(**{k: v for k, v in cfg.items() if k != 'budgets'})
