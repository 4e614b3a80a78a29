"""How much priority could gain at most, in the setting of ``make compare``.

A level's best subnets can hardly get better than when only they are trained. So
the network is trained once with random sampling, which ends with a kept subnet
for each level; then from the same weights on the same images with nothing but
these subnets and the ends of the space. Both are tested on the same kept
subnets.
"""

import argparse
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np
from compare import EPOCHS, Run
from head_start import accuracies, trained, training
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint

from pss.cli import run
from pss.deploy import model_config
from pss.errors import InputError
from pss.evaluation import read_results
from pss.files import write_json
from pss.models import SupernetClassifier
from pss.registry import MODELS, SAMPLERS
from pss.sampling.sampler import Candidates, Pass, Plan
from pss.structures import Budget, CostTable, SearchSpace, Subnet


@SAMPLERS.register_module()
class FixedSampler:
    """The largest subnet, one of some given ones, and the smallest.

    Args:
        space, costs, budgets: see :class:`.Sampler`.
        subnets: the given ones, as dicts.
    """

    pools: Sequence[Any] = ()

    def __init__(self, space: SearchSpace, costs: Dict[str, CostTable],
                 budgets: Sequence[Budget],
                 subnets: Sequence[Dict[str, Any]]) -> None:
        self.space = space
        self.budgets = list(budgets)
        self.grid = [Subnet.from_dict(dict(subnet)) for subnet in subnets]

    def plan(self, seed: int, iteration: int, progress: float) -> Plan:
        """Draws uniformly."""
        rng = np.random.default_rng([seed, iteration])
        drawn = self.grid[rng.integers(len(self.grid))]
        return (Pass('largest', self.space.largest), Pass('sampled', drawn),
                Pass('smallest', self.space.smallest)), None

    def candidates(self, num: int) -> Candidates:
        """None: nothing is chosen."""
        return {}

    def scalars(self, progress: float) -> Dict[str, float]:
        """Nothing to log."""
        return {}

    def state_dict(self) -> List[Dict[str, Any]]:
        """Nothing to keep."""
        return []

    def load_state_dict(self, state: List[Dict[str, Any]]) -> None:
        """Nothing to restore."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--epochs', type=int, default=EPOCHS)
    parser.add_argument(
        '--work-dir',
        default='work_dirs/compare',
        help='of make compare; its runs of random sampling are needed')
    parser.add_argument('--out', default='benchmarks/results/bound.json')
    args = parser.parse_args()
    rows = []
    for seed in args.seeds:
        rows.append(measure(seed, args.epochs, Path(args.work_dir)))
        print(rows[-1], flush=True)
        write_json(
            dict(_summary(rows), epochs=args.epochs, runs=rows), args.out)
    print(_summary(rows))


def measure(seed: int, epochs: int, folder: Path) -> Dict[str, Any]:
    """The accuracies of one seed's kept subnets, trained in two ways."""
    # of any draws: the check runs have several
    tasks = [Run('random', epochs, seed, seed + i) for i in (0, 1000, 2000)]
    task = next(
        (t for t in tasks if (folder / t.name / 'results.json').is_file()),
        None)
    if task is None:
        raise InputError(f'{folder}: expected {tasks[0].name}, which '
                         'benchmarks/compare.py trains')
    results = read_results(folder / task.name / 'results.json')
    kept = [Subnet.from_dict(row['subnet']) for row in results['pools']]
    subnets = list(dict.fromkeys(kept))
    config = training(epochs, seed, folder / f'fixed_{epochs}ep_seed{seed}')
    config.default_hooks.pss_sampler.sampler = dict(
        type='FixedSampler', subnets=[subnet.as_dict() for subnet in subnets])
    paths = [
        Path(config.work_dir, f'epoch_{epochs}.pth'),
        folder / task.name / f'epoch_{epochs}.pth'
    ]
    if not paths[0].is_file():
        trained(config)
    # set by a runner otherwise, for models and for datasets
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        alone, random = (
            accuracies(_loaded(config, path), subnets, config)
            for path in paths)
    found = dict(random=random, alone=alone)
    gains = np.subtract(found['alone'], found['random'])
    return dict(
        seed=seed,
        subnets=[subnet.as_dict() for subnet in subnets],
        gain=round(float(gains.mean()), 3),
        **{
            name: [round(v, 2) for v in values]
            for name, values in found.items()
        })


def _loaded(config: Config, checkpoint: Path) -> SupernetClassifier:
    """A trained network."""
    model = MODELS.build(model_config(config))
    load_checkpoint(model, str(checkpoint), 'cpu')
    return model


def _summary(rows: List[Dict[str, Any]]) -> Dict[str, Any]:
    """The mean gain over seeds and its standard error, in points of top-1."""
    gains = [row['gain'] for row in rows]
    error = float(np.std(gains, ddof=1) / len(gains)**0.5) \
        if len(gains) > 1 else None
    return dict(gain=float(np.mean(gains)), standard_error=error)


if __name__ == '__main__':
    run(main)
