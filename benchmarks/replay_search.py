"""Replays ways to choose a subnet on records where the truth is known.

A record (``benchmarks/record_hits.py``) says which images each of many subnets
of a trained supernet gets right. A method sees the held-out images only; the
truth is the accuracy on 20,000 others. All methods pay for what they run: each
subnet costs the images that calibrate it (512 for a first look, 2,048 for good)
and those that it is measured on. What ours spends on a level is what the others
may spend.
"""

import argparse
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

import numpy as np
from tabulate import tabulate

from pss.cli import run
from pss.errors import InputError
from pss.files import write_json
from pss.search import Level, SubnetSearch
from pss.structures import Budget, SearchSpace, Subnet, Width

RECORDS = ('benchmarks/results/hits_mbv1.npz',
           'benchmarks/results/hits_mbv2_blocks.npz')
LOOK, GOOD = 512, 2048  # images that calibrate a subnet
DIRECT = 50  # subnets that the direct choice compares
PARENTS, FIRST = 4, 12  # of plain evolution
MUTATION = 0.2  # share of the widths that a child changes


class Record(NamedTuple):
    """What was recorded of a supernet.

    Attributes:
        space: its space.
        subnets: the recorded subnets, the largest and the smallest first.
        levels: positions of each level's subnets.
        score: their scores in pools; NaN without.
        looks, finals: which held-out images they get right, calibrated on 512
            and on 2,048 images, bool ``(subnets, images)``.
        truth: accuracies on the images set aside, in percent.
    """
    space: SearchSpace
    subnets: List[Subnet]
    levels: Dict[float, np.ndarray]
    score: np.ndarray
    looks: np.ndarray
    finals: np.ndarray
    truth: np.ndarray


def read_record(path: Path) -> Record:
    """Reads a record."""
    if not path.is_file():
        raise InputError(f'{path}: no such file; write it with '
                         'benchmarks/record_hits.py')
    with np.load(path) as file:
        found = dict(file)
    widths = [
        tuple(int(x) for x in text.strip('()').split(',') if x)
        for text in found['widths'].tolist()
    ]
    space = SearchSpace([Width(w, (1 / len(w), ) * len(w)) for w in widths],
                        found['resolutions'].tolist())
    seen, aside = found['images'].tolist()
    finals = np.unpackbits(found['final'], axis=1, count=seen + aside)
    level = found['level']
    return Record(
        space, space.decode(found['codes']), {
            x: np.flatnonzero(level == x)
            for x in np.unique(level[~np.isnan(level)]).tolist()
        }, found['score'],
        np.unpackbits(found['screened'], axis=1, count=seen).astype(bool),
        finals[:, :seen].astype(bool), 100 * finals[:, seen:].mean(1))


class Replay:
    """One repetition: the held-out images that it has, in its order.

    Attributes:
        spent: images that were run, calibration included.
    """

    def __init__(self, record: Record, rng: np.random.Generator,
                 images: int) -> None:
        self.record, self.rng, self.images = record, rng, images
        self._order = rng.permutation(record.looks.shape[1])[:images]
        self._place = {s: i for i, s in enumerate(record.subnets)}
        self._seen: Dict[Any, int] = {}
        self.spent = 0

    def hits(self, subnets: Sequence[Subnet], images: int,
             final: bool) -> np.ndarray:
        """As :data:`pss.search.Evaluate`."""
        rows = [self._place[s] for s in subnets]
        for row in rows:
            if (row, final) not in self._seen:
                self.spent += GOOD if final else LOOK
            known = self._seen.get((row, final), 0)
            self.spent += max(images - known, 0)
            self._seen[row, final] = max(images, known)
        source = self.record.finals if final else self.record.looks
        return source[rows][:, self._order[:images]]

    def accuracy(self, row: int, images: int, final: bool = False) -> float:
        """Of a recorded subnet, measured directly."""
        return float(
            self.hits([self.record.subnets[row]], images, final).mean())


def ours(replay: Replay, settings: Dict[str, Any]) -> Dict[float, int]:
    """What the search keeps of each level."""
    record = replay.record
    levels = []
    for level, rows in record.levels.items():
        scored = [i for i in rows if not np.isnan(record.score[i])]
        known = sorted(scored, key=lambda i: -record.score[i])

        def draw(rng: np.random.Generator,
                 num: int,
                 rows: np.ndarray = rows) -> List[Subnet]:
            return [record.subnets[i] for i in rng.choice(rows, num)]

        levels.append(
            Level(
                Budget('flops', level, 1.), [record.subnets[i] for i in known],
                draw))
    search = SubnetSearch(**settings)
    measured, expected = search.run(record.space, levels,
                                    replay.images, replay.hits,
                                    int(replay.rng.integers(2**31)))
    place = {s: i for i, s in enumerate(record.subnets)}
    rows = np.array([place[s] for s in measured.subnets])
    chosen = {}
    for level, members in record.levels.items():
        last = measured.final & np.isin(rows, members)
        chosen[level] = int(rows[last][expected.mean[last].argmax()])
    return chosen


def by_score(replay: Replay, rows: np.ndarray, cost: float) -> int:
    """The best on all held-out images of the pool's best by score."""
    record = replay.record
    scored = [i for i in rows if not np.isnan(record.score[i])]
    num = max(int(cost / (GOOD + replay.images)), 1)
    best = sorted(scored, key=lambda i: -record.score[i])[:num]
    return max(best, key=lambda i: replay.accuracy(i, replay.images, True))


def best_of_50(replay: Replay, rows: np.ndarray, cost: float) -> int:
    """The best of 50 drawn subnets, on as many images as the cost allows."""
    drawn = replay.rng.permutation(rows)[:DIRECT]
    images = int(np.clip(cost / DIRECT - LOOK, 20, replay.images))
    return max(drawn, key=lambda i: replay.accuracy(i, images))


def evolution(replay: Replay, rows: np.ndarray, cost: float) -> int:
    """The best that evolution saw: children of the best so far, each the
    recorded subnet nearest to a parent with some widths changed."""
    record, rng = replay.record, replay.rng
    codes = record.space.encode(record.subnets)
    sizes = np.array(record.space.shape)
    images = min(1000, replay.images)
    left = int(cost / (LOOK + images))
    found = {
        int(i): replay.accuracy(i, images)
        for i in rng.permutation(rows)[:min(FIRST, left)]
    }
    while len(found) < min(left, len(rows)):
        parents = sorted(found, key=lambda i: -found[i])[:PARENTS]
        child = codes[rng.choice(parents)].copy()
        changed = rng.random(len(sizes)) < MUTATION
        child[changed] = rng.integers(sizes)[changed]
        others = np.array([i for i in rows if i not in found])
        distance = (np.abs(codes[others] - child) / sizes).sum(1)
        row = int(others[distance.argmin()])
        found[row] = replay.accuracy(row, images)
    return max(found, key=lambda i: found[i])


OTHERS: Dict[str, Callable[[Replay, np.ndarray, float], int]] = {
    'best by score (published)': by_score,
    'best of 50 directly': best_of_50,
    'evolution': evolution,
}


def gains_of(record: Record, images: int, settings: Dict[str, Any],
             seed: int) -> Dict[str, List[float]]:
    """One repetition: how far what each method keeps of each level lies above
    the level's mean, in truth."""
    rng = np.random.default_rng(seed)
    replay = Replay(record, rng, images)
    chosen = {'search': ours(replay, settings)}
    cost = replay.spent / len(record.levels)
    for name, method in OTHERS.items():
        chosen[name] = {
            level: method(Replay(record, rng, images), rows, cost)
            for level, rows in record.levels.items()
        }
    truth, means = record.truth, {
        level: record.truth[rows].mean()
        for level, rows in record.levels.items()
    }
    gains = {
        name: [truth[found[x]] - means[x] for x in means]
        for name, found in chosen.items()
    }
    gains['best possible'] = [
        truth[rows].max() - means[x] for x, rows in record.levels.items()
    ]
    gains['images'] = [cost]
    return gains


def rows_of(name: str, found: List[Dict[str, List[float]]]) -> List[Dict]:
    """A row for each method: means over repetitions and levels, and how far the
    search is ahead, with the standard error of that mean."""
    mine = np.array([g['search'] for g in found])  # (repetitions, levels)
    rows = []
    for method in [key for key in found[0] if key != 'images']:
        gains = np.array([g[method] for g in found])
        ahead = (mine - gains).ravel()
        rows.append(
            dict(
                record=name,
                method=method,
                gain=float(gains.mean()),
                levels=' '.join(f'{x:.2f}' for x in gains.mean(0)),
                search_ahead=float(ahead.mean()),
                standard_error=float(ahead.std(ddof=1) / np.sqrt(len(ahead)))))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('records', nargs='*', default=RECORDS)
    parser.add_argument('--repetitions', type=int, default=50)
    parser.add_argument(
        '--images',
        type=int,
        default=5000,
        help='how many held-out images a repetition has, of those recorded '
        '(default: %(default)s)')
    parser.add_argument('--candidates', type=int, default=16)
    parser.add_argument('--finalists', type=int, default=2)
    parser.add_argument('--share', type=float, default=0.125)
    parser.add_argument('--out', help='JSON file for the figures')
    args = parser.parse_args()
    settings = dict(
        candidates=args.candidates, finalists=args.finalists, share=args.share)
    report: List[Dict] = []
    every = []
    for path in args.records:
        record = read_record(Path(path))
        found = [
            gains_of(record, args.images, settings, seed)
            for seed in range(args.repetitions)
        ]
        every += found
        report += rows_of(Path(path).stem, found)
        cost = np.mean([g['images'] for g in found])
        print(f'{path}: {len(record.subnets) - 2} subnets of '
              f'{len(record.levels)} levels; {cost:,.0f} images a level, '
              'calibration included')
    if len(args.records) > 1:
        report += rows_of('all', every)
    print(tabulate(report, headers='keys', floatfmt='.3f'))
    if args.out:
        write_json(dict(settings, images=args.images, rows=report), args.out)


if __name__ == '__main__':
    run(main)
