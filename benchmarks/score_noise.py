"""Why a pool's scores agree so little with held-out accuracy.

A score is minus the cross-entropy of a subnet on the batches that it was drawn
for, so that each comes from other images and other weights. Here every subnet
of every pool is scored with the final weights, in training mode as in training,
and each kind of score is compared with held-out accuracy (Spearman's rank
correlation, mean over the pools): the scores that training left; scores of one
batch, a different one for each subnet; these less the largest subnet's score on
the same batch; scores of one batch, the same for all; scores of all batches.
RANKS is written by tools/analysis_tools/rank_pools.py.
"""

import argparse
from typing import Any, Dict, Mapping, Optional, Sequence

import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from tabulate import tabulate

from pss.apis import init_model, load_config
from pss.cli import run
from pss.files import read_json, write_json
from pss.models import SupernetClassifier
from pss.sampling import rank_correlation
from pss.structures import Subnet


@torch.no_grad()
def losses_of(model: SupernetClassifier, subnets: Sequence[Subnet],
              batches: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Cross-entropies in training mode, ``(subnets, batches)``."""
    model.train()
    losses = np.zeros((len(subnets), len(batches)))
    for i, batch in enumerate(batches):
        data = model.data_preprocessor(batch, True)
        for j, subnet in enumerate(subnets):
            model.switch_to(subnet)
            loss, _ = model.parse_losses(model(**data, mode='loss'))
            losses[j, i] = loss.item()
    return losses


def agreements(members: Sequence[Mapping[str, Any]], losses: np.ndarray,
               largest: np.ndarray,
               rng: np.random.Generator) -> Dict[str, Optional[float]]:
    """Rank correlations with held-out accuracy, by the kind of score.

    Args:
        members: a pool's subnets, with score and accuracy.
        losses: their losses, ``(subnets, batches)``.
        largest: the largest subnet's losses, ``(batches, )``.
        rng: draws a batch for each subnet.
    """
    held_out = [m['held_out'] for m in members]

    def agree(scores: Sequence[float]) -> Optional[float]:
        return rank_correlation(scores, held_out)

    subnets, batches = losses.shape

    def own(losses: np.ndarray) -> float:
        return float(
            np.mean([
                agree((-losses[np.arange(subnets),
                               rng.integers(batches, size=subnets)]).tolist())
                for _ in range(200)
            ]))

    return dict(
        trained=agree([m['score'] for m in members]),
        own_batch=own(losses),
        own_batch_less_largest=own(losses - largest),
        same_batch=float(
            np.mean([agree((-column).tolist()) for column in losses.T])),
        all_batches=agree((-losses.mean(1)).tolist()),
        held_out_halves=rank_correlation(*zip(*(m['halves'] for m in members))),
        # standard deviations: between batches, and between the subnets
        loss_std_batches=float(losses.std(1, ddof=1).mean()),
        loss_std_subnets=float(losses.mean(1).std(ddof=1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('ranks')
    parser.add_argument('--batches', type=int, default=24)
    parser.add_argument('--out', default='score_noise.json')
    args = parser.parse_args()
    config = load_config(args.config)
    model = init_model(config, args.checkpoint)
    assert isinstance(model, SupernetClassifier)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        loader = dict(
            config.test_cfg.calibration_dataloader,
            batch_size=config.train_dataloader.batch_size)
        batches = [
            batch for batch, _ in zip(
                Runner.build_dataloader(loader, seed=1), range(args.batches))
        ]
    rng = np.random.default_rng(0)
    rows = []
    for pool in read_json(args.ranks)['pools']:
        subnets = [Subnet.from_dict(m['subnet']) for m in pool['members']]
        losses = losses_of(model, [model.search_space.largest, *subnets],
                           batches)
        rows.append(agreements(pool['members'], losses[1:], losses[0], rng))
        print(f'{pool["resource"]} {pool["level"]:g}: {rows[-1]}', flush=True)
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    write_json(
        dict(
            batch_size=config.train_dataloader.batch_size,
            batches=len(batches),
            pools=rows,
            mean=means), args.out)
    print(
        tabulate(
            means.items(), headers=['score of', 'agreement'], floatfmt='.2f'))


if __name__ == '__main__':
    run(main)
