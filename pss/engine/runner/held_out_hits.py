"""Which held-out images subnets get right, measured once and remembered."""

import hashlib
import json
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple, TypeVar

import numpy as np
import torch
from mmengine.dist import (
    all_reduce,
    broadcast_object_list,
    get_rank,
    get_world_size,
)
from mmengine.logging import print_log
from torch.utils.data import DataLoader, Subset

from ...errors import InputError
from ...models.shared_prefixes import SharedPrefixes
from ...search import Evaluate
from ...structures import Subnet
from ..precision import mixed_precision
from ..randomness import mixed
from .hits_journal import Hits, HitsJournal
from .subnet_loop import Statistics, SubnetLoop

# Subnets that are measured in one pass over the images; an interrupted search
# repeats no more than such a pass.
CHUNK = 32

TOP_K = r'top(\d+)'  # the metrics that are a share of the images

T = TypeVar('T')

# A subnet, and whether it is measured with its final statistics.
Key = Tuple[Subnet, bool]


class HeldOutHits:
    """Measures subnets on the first of the held-out images, in an order of its
    own.

    Called with subnets, a number of images and whether the measurements are
    final, it returns which of the images each subnet gets right, bool
    ``(subnets, images)``. Nothing is measured twice, also not after an
    interruption. Processes share the images and return the same.

    Final measurements are made with the batch-norm statistics that a subnet
    would be kept with; before that one batch calibrates it, since calibrating
    on all would cost more than measuring.

    Args:
        loop: calibrates and runs the subnets.
        loader: of the held-out images.
        path: of the journal, see :class:`.HitsJournal`.
        seed: of the order of the images.
        planned: about how many images will be asked for, summed over subnets,
            to say how much is left.

    Raises:
        InputError: if the loop's metric is not a top-k accuracy, or for a
            damaged journal.
    """

    def __init__(self, loop: SubnetLoop, loader: DataLoader[Any], path: Path,
                 seed: int, planned: int) -> None:
        self._loop = loop
        top_of(loop)  # or there is nothing to measure
        self._loader = loader
        size = len(loader.dataset)  # type: ignore[arg-type]
        self._order = np.random.default_rng(mixed(
            seed, 1)).permutation(size).tolist()
        self._asked: Dict[Key, int] = {}  # images
        self._calibrated: Dict[Key, Statistics] = {}
        self._hits: Dict[Key, np.ndarray] = {}
        self._journal = HitsJournal(path, _identity(loop, size, seed))
        found: List[Any] = [None, None]
        if get_rank() == 0:
            try:
                found[0] = self._journal.open()
            except InputError as error:
                found[1] = str(error)
        broadcast_object_list(found)
        if found[1] is not None:
            raise InputError(found[1])
        for hits in found[0]:
            self._keep(hits)
        if self._hits:
            print_log(
                f'Searching: {len(self._hits)} measurements of an earlier '
                f'search are in {path}', 'current')
        self._planned, self._measured = planned, 0  # images
        self._begun = time.monotonic()

    def __call__(self, subnets: Sequence[Subnet], images: int,
                 final: bool) -> np.ndarray:
        """See the class."""
        lacking: Dict[int, List[Subnet]] = {}
        for subnet in subnets:
            self._asked[subnet, final] = images
            known = len(self._hits.get((subnet, final), ()))
            if known < images:
                lacking.setdefault(known, []).append(subnet)
        for first, found in lacking.items():
            # neighbours share most of their layers
            found.sort(key=lambda s: (s.resolution, s.widths))
            for i in range(0, len(found), CHUNK):
                self._measure(found[i:i + CHUNK], first, images, final)
        return np.array([self._hits[s, final][:images] for s in subnets],
                        bool).reshape(len(subnets), images)

    def lead(self, search: Callable[[Evaluate], T]) -> T:
        """Runs a search in the first process, and measures what it asks for in
        all; returns its result in all.

        So they agree bit by bit, even where their arithmetic does not.

        Args:
            search: given a function to measure with, returns its result.

        Raises:
            InputError: in all processes, if the search does in the first.
        """
        if get_world_size() == 1:
            return search(self)
        answer: List[Any] = [None, None]
        if get_rank() == 0:
            try:
                answer[0] = search(self._ask)
            except InputError as error:
                answer[1] = str(error)
            broadcast_object_list([None])  # there is no further question
        else:
            for question in iter(_next_question, None):
                self(*question)
        broadcast_object_list(answer)
        if answer[1] is not None:
            raise InputError(answer[1])
        result: T = answer[0]
        return result

    def _ask(self, subnets: Sequence[Subnet], images: int,
             final: bool) -> np.ndarray:
        broadcast_object_list([(list(subnets), images, final)])
        return self(subnets, images, final)

    def final_statistics(self,
                         subnets: Sequence[Subnet]) -> Dict[Subnet, Statistics]:
        """The statistics that subnets would be kept with."""
        return self._calibrate(subnets, True)

    def _calibrate(self, subnets: Sequence[Subnet],
                   final: bool) -> Dict[Subnet, Statistics]:
        new = [s for s in subnets if (s, final) not in self._calibrated]
        if new:
            found = self._loop.calibrate(new, None if final else 1)
            self._calibrated.update(((s, final), found[s]) for s in new)
        return {s: self._calibrated[s, final] for s in subnets}

    def _measure(self, subnets: Sequence[Subnet], first: int, images: int,
                 final: bool) -> None:
        statistics = self._calibrate(subnets, final)
        hits = run_hits(self._loop, statistics, self._loader,
                        self._order[first:images])
        measured = [
            Hits(subnet, final, first, row)
            for subnet, row in zip(subnets, hits)
        ]
        if get_rank() == 0:
            self._journal.add(measured)
        for entry in measured:
            self._keep(entry)
        self._measured += hits.size
        self._say_progress()

    def _say_progress(self) -> None:
        done = sum(
            min(len(self._hits.get(key, ())), images)
            for key, images in self._asked.items())
        planned = max(self._planned, done)
        seconds = (time.monotonic() - self._begun) / self._measured * (
            planned - done)
        print_log(
            f'Searching: {len(self._asked)} measurements, '
            f'{done / planned:.0%} done  eta: '
            f'{timedelta(seconds=round(seconds))}', 'current')

    def _keep(self, entry: Hits) -> None:
        key = entry.subnet, entry.final
        known = self._hits.get(key, np.zeros(0, bool))
        if len(known) == entry.first:
            self._hits[key] = np.concatenate([known, entry.hits])


def _next_question() -> Any:
    """What the first process asks for; ``None`` at the end."""
    question: List[Any] = [None]
    broadcast_object_list(question)
    return question[0]


@torch.no_grad()
def run_hits(loop: SubnetLoop, statistics: Dict[Subnet, Statistics],
             loader: DataLoader[Any], order: Sequence[int]) -> np.ndarray:
    """Runs subnets on images, each process on its share of them.

    Args:
        loop: its metric says when an image counts as right.
        statistics: the subnets and their batch-norm statistics.
        loader: its dataset has the images.
        order: indices of the images.

    Returns:
        Whether each subnet gets each image right, bool ``(subnets, images)``.

    Raises:
        InputError: if the loop's metric is not a top-k accuracy.
    """
    model, top = loop.model, top_of(loop)
    mine = range(get_rank(), len(order), get_world_size())
    batches = DataLoader(
        Subset(loader.dataset, [order[i] for i in mine]),
        batch_size=loader.batch_size,
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers)
    hits = torch.zeros((len(statistics), len(order)), dtype=torch.uint8)
    rows = {subnet: row for row, subnet in enumerate(statistics)}
    runs = SharedPrefixes(model, [*statistics], statistics)
    model.eval()
    done = 0
    for batch in batches:
        data = model.data_preprocessor(batch, False)
        labels = torch.cat([s.gt_label for s in data['data_samples']])
        places = list(mine[done:done + len(labels)])
        done += len(labels)
        for subnet in runs:
            model.switch_to(subnet, statistics[subnet])
            with mixed_precision(loop.amp_type):
                logits = model(data['inputs'], mode='tensor')
            best = logits.topk(min(top, logits.shape[1])).indices
            right = (best == labels.to(best.device)[:, None]).any(1)
            hits[rows[subnet], places] = right.to('cpu', torch.uint8)
    model.switch_to(model.search_space.largest)
    all_reduce(hits)
    return hits.numpy().astype(bool)


def top_of(loop: SubnetLoop) -> int:
    """The ``k`` of a loop's top-k accuracy."""
    match = re.fullmatch(TOP_K, loop.metric)
    if not match:
        raise InputError(
            f'{loop.mode}_cfg.metric={loop.metric!r}: a search compares what '
            'subnets get right image by image; expected top1 or another top-k '
            f'accuracy, or {loop.mode}_cfg.search=None')
    return int(match[1])


def _identity(loop: SubnetLoop, images: int, seed: int) -> str:
    """Changes with all that measurements depend on, but for the contents of
    data sets, of which only the number of held-out images counts."""
    digest = hashlib.sha256()
    cfg = loop.runner.cfg
    test = {
        key: value
        for key, value in dict(cfg.get('test_cfg') or {}).items()
        if key not in ('search', 'candidates')
    }
    for part in (cfg.get('model'), cfg.get('data_preprocessor'), test, images,
                 seed, get_world_size()):
        digest.update(json.dumps(part, default=str, sort_keys=True).encode())
    for name, value in loop.model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().double().numpy().tobytes())
    return digest.hexdigest()
