"""Times of blocks that were not measured, estimated from measured ones."""

from collections import defaultdict
from typing import Any, Dict, Iterable, List, Sequence, Tuple

import numpy as np

from .blocks import BlockKey
from .latency import Timing

NEIGHBOURS = 6
FOLDS = 5


def choose_blocks(keys: Sequence[BlockKey], num: int) -> List[BlockKey]:
    """The blocks to measure if measuring all takes too long.

    Every kind of block gets a share, larger kinds a larger one: first the ends
    of its range of sizes, then random ones. A larger ``num`` chooses the same
    blocks and more, so that a table can be refined.

    Args:
        keys: all blocks.
        num: how many to choose at most; but two of each kind are always chosen.
    """
    rng = np.random.default_rng(0)
    queues = []
    for group in _groups(keys).values():
        order = sorted(group, key=_work)
        rest = order[1:-1]
        queues.append([
            order[0], *order[1:][-1:],
            *(rest[i] for i in rng.permutation(len(rest)))
        ])
    # shares grow with the square root of a kind's size, for the small kinds
    positions = [((i + 1) / len(queue)**0.5, q, i)
                 for q, queue in enumerate(queues) for i in range(len(queue))]
    ends = [(q, i) for _, q, i in positions if i < 2]
    others = [(q, i) for _, q, i in sorted(positions) if i >= 2]
    chosen = ends + others[:max(num - len(ends), 0)]
    return [queues[q][i] for q, i in chosen]


def interpolate(
        measured: Dict[BlockKey, Timing],
        keys: Sequence[BlockKey]) -> Tuple[Dict[BlockKey, Timing], float]:
    """Times of other blocks of the same kinds.

    A weighted least-squares fit of the time by the block's work and memory
    traffic, corrected by how the nearest measured blocks deviate from it.

    Args:
        measured: blocks with their times.
        keys: other blocks.

    Returns:
        Their times, and the procedure's mean relative error for measured
        blocks that were left out (5-fold cross-validation).
    """
    times: Dict[BlockKey, Timing] = {}
    errors: List[np.ndarray] = []
    groups = _groups(measured)
    for kind, wanted in _groups(keys).items():
        known = groups[kind]
        truth = np.array([measured[key].latency for key in known])
        predicted = _predict(known, truth, wanted)
        times.update((key, Timing(float(time), interpolated=True))
                     for key, time in zip(wanted, predicted))
        folds = np.random.default_rng(0).permutation(len(known)) % FOLDS
        for fold in range(FOLDS):
            left, out = np.flatnonzero(folds != fold), \
                np.flatnonzero(folds == fold)
            if len(left) < 2 or not len(out):
                continue
            guess = _predict([known[i] for i in left], truth[left],
                             [known[i] for i in out])
            errors.append(np.abs(guess / truth[out] - 1))
    error = float(np.concatenate(errors).mean()) if errors else 0.
    return times, error


def _groups(keys: Iterable[BlockKey]) -> Dict[Tuple[Any, ...], List[BlockKey]]:
    """Blocks by kind: blocks of a kind differ in nothing but their size."""
    groups: Dict[Tuple[Any, ...], List[BlockKey]] = defaultdict(list)
    for key in keys:
        groups[key.block_type, key.kernel_size, key.stride, key.shortcut,
               key.cmid is None].append(key)
    return dict(groups)


def _sizes(keys: Sequence[BlockKey]) -> np.ndarray:
    """Pixels, input, inner and output channels, ``(N, 4)``."""
    return np.array([(key.in_size**2, key.cin, key.cmid or key.cin, key.cout)
                     for key in keys], float)


def _work(key: BlockKey) -> float:
    pixels, cin, cmid, cout = _sizes([key])[0].tolist()
    return float(pixels * (cin * cmid + cmid * cout))


def _features(keys: Sequence[BlockKey]) -> np.ndarray:
    """The terms of a block's time: overhead, traffic, work, ``(N, 9)``."""
    pixels, cin, cmid, cout = _sizes(keys).T
    return np.stack([
        np.ones(len(pixels)), pixels, pixels * cin, pixels * cmid, pixels *
        cout, pixels * cin * cmid, pixels * cmid * cout, cin * cmid, cmid * cout
    ],
                    axis=1)


def _predict(known: Sequence[BlockKey], truth: np.ndarray,
             wanted: Sequence[BlockKey]) -> np.ndarray:
    """Times of ``wanted``, estimated from the times ``truth`` of ``known``."""
    features, others = _features(known), _features(wanted)
    size = features.max(0)
    # least relative errors; the ridge decides where blocks are few
    a = features / size / truth[:, None]
    weights = np.linalg.solve(
        a.T @ a + 1e-6 * np.trace(a.T @ a) / a.shape[1] * np.eye(a.shape[1]),
        a.T @ np.ones(len(truth)))
    low, high = truth.min() / 2, truth.max() * 2
    fit = np.clip(features / size @ weights, low, high)
    guess: np.ndarray = np.clip(others / size @ weights, low, high)
    places, near = np.log(_sizes(known)), np.log(_sizes(wanted))
    ratio = np.log(truth / fit)
    num = min(NEIGHBOURS, len(known))
    for start in range(0, len(near), 4096):
        part = slice(start, start + 4096)
        distance = ((near[part, None] - places)**2).sum(-1)
        index = np.argpartition(distance, num - 1, axis=1)[:, :num]
        weight = 1 / (np.take_along_axis(distance, index, 1) + 1e-4)
        guess[part] *= np.exp((ratio[index] * weight).sum(1) / weight.sum(1))
    return guess
