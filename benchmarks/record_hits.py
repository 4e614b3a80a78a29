"""Records which images many subnets of a trained supernet get right.

``benchmarks/replay_search.py`` replays searches on such records, since on them
the truth is known: the images beyond the first 5,000 are set aside for it. The
config has to hold out enough of the training images. Subnets are the members of
some pools, with their scores, and others of their levels.
"""

import argparse
from pathlib import Path
from typing import Any, List

import numpy as np

from pss.apis import build_runner, load_config
from pss.cli import merge_arguments, run, strip_training
from pss.engine.checkpoints import check_checkpoint
from pss.engine.runner.held_out_hits import run_hits
from pss.files import whole_file
from pss_command.arguments import add_arguments


def chosen_pools(pools: List[Any], num: int) -> List[Any]:
    """So many pools, evenly spaced."""
    places = np.linspace(0, len(pools) - 1, num).round().astype(int)
    return [pools[i] for i in places]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--out', required=True, help='npz file to write')
    parser.add_argument('--levels', type=int, default=4)
    parser.add_argument('--subnets', type=int, default=100, help='of a level')
    parser.add_argument('--search-images', type=int, default=5000)
    parser.add_argument('--truth-images', type=int, default=20000)
    add_arguments(parser)
    args = parser.parse_args()
    cfg = load_config(args.config)
    merge_arguments(cfg, args)
    strip_training(cfg, args.checkpoint)
    runner = build_runner(cfg)
    loop = runner.test_loop
    check_checkpoint(args.checkpoint, runner.model, pools=True)
    runner.call_hook('before_run')
    runner.load_or_resume()
    sampler, space = loop.sampler_hook.sampler, loop.model.search_space
    rng = np.random.default_rng(0)
    subnets, scores, levels = [], [], []
    for pool in chosen_pools(sampler.pools, args.levels):
        mine = [s for s, _ in pool.best(args.subnets // 2)]
        drawn = sampler.fresh(pool.budget, rng, 20 * args.subnets)
        others = [s for s in dict.fromkeys(drawn) if s not in pool.scores]
        mine += others[:args.subnets - len(mine)]
        subnets += mine
        scores += [pool.scores.get(s, np.nan) for s in mine]
        levels += [pool.budget.level] * len(mine)
    ends = [space.largest, space.smallest]
    every = [*ends, *subnets]
    loader: Any = loop.selection_dataloader
    images = args.search_images + args.truth_images
    order = rng.permutation(len(loader.dataset))[:images].tolist()
    screened, final = [], []
    for i in range(0, len(every), 32):
        chunk = every[i:i + 32]
        screened.append(
            run_hits(loop, loop.calibrate(chunk, 1), loader,
                     order[:args.search_images]))
        final.append(run_hits(loop, loop.calibrate(chunk), loader, order))
        print(f'{i + len(chunk)} of {len(every)} subnets', flush=True)
    codes = space.encode(every)
    with whole_file(Path(args.out)) as file, open(file, 'wb') as out:
        np.savez_compressed(
            out,
            codes=codes,
            mflops=loop.sampler_hook.costs['flops'](codes),
            level=np.array([np.nan] * len(ends) + levels),
            score=np.array([np.nan] * len(ends) + scores),
            screened=np.packbits(np.concatenate(screened), axis=1),
            final=np.packbits(np.concatenate(final), axis=1),
            images=np.array([args.search_images, args.truth_images]),
            resolutions=np.array(space.resolutions),
            widths=np.array([str(w.choices) for w in space.widths]))


if __name__ == '__main__':
    run(main)
