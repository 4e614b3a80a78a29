"""Building a device's latency table, in as many sessions as it takes."""

import os
import random
from datetime import datetime
from pathlib import Path
from typing import Any, ContextManager, Dict, Iterable, List, Optional

from ..engine.runner.progress import logged
from ..files import FilePath
from ..locks import locked
from ..resources import BlockKey, LatencyTable, Timing, reachable_blocks
from ..resources.interpolation import choose_blocks, interpolate
from ..resources.latency import VERSION
from .journal import Journal, check_conditions
from .profiler import Profiler


def build_table(profiler: Profiler,
                path: FilePath,
                max_blocks: Optional[int] = None,
                rounds: int = 3) -> LatencyTable:
    """Measures the blocks that a space can reach and writes the table.

    Every measurement goes into a journal, ``PATH.partial``, as soon as it is
    known, and a run that was stopped continues from there. Blocks in a table
    that already exists are not measured again; with larger ``max_blocks``, only
    the new ones are.

    Args:
        profiler: measures the blocks.
        path: of the table.
        max_blocks: measure at most so many (but two of each kind), and
            interpolate the rest; all by default.
        rounds: how often to measure each block, at different times.

    Returns:
        The table.

    Raises:
        InputError: if a table or a journal exists that was measured under other
            conditions, which stays as it is, or another process is building
            this table.
    """
    path = Path(os.path.realpath(path))  # links name the same table
    with table_lock(path):
        return _build(profiler, path, max_blocks, rounds)


def table_lock(path: Path) -> ContextManager[None]:
    """Keeps other processes from building the same table.

    Raises:
        InputError: if one does already.
    """
    return locked(path.with_name(f'.{path.name}'), f'latency table {path}')


def _build(profiler: Profiler, path: Path, max_blocks: Optional[int],
           rounds: int) -> LatencyTable:
    conditions = profiler.conditions
    where = reachable_blocks(profiler.model)
    chosen = list(where) if max_blocks is None \
        else choose_blocks(list(where), max_blocks)
    old = LatencyTable.read(path) if path.exists() else None
    known: Dict[BlockKey, Timing] = {}
    if old is not None:
        check_conditions(old.header, conditions, path)
        known = {k: t for k, t in old.timings.items() if not t.interpolated}
    with Journal(path, conditions) as journal:
        missing = [
            key for _ in range(rounds)
            for key in _shuffled(k for k in chosen if k not in known)
        ]
        # skip what was measured before the run was stopped
        done = {key: len(r) for key, r in journal.rounds.items()}
        todo = []
        for key in missing:
            done[key] = done.get(key, 0) - 1
            if done[key] < 0:
                todo.append(key)
        what = f'Measuring {len(set(missing))} of {len(where)} blocks'
        for key in logged(todo, len(todo), what):
            journal.add(key, profiler.measure(profiler.block(key, *where[key])))
        known.update((key, Timing.median(found))
                     for key, found in journal.rounds.items())
        if old is not None and not missing and len(old.timings) >= len(where):
            return old
        table = _complete(known, list(where), conditions)
        table.write(path)
        journal.is_needed = False
    return table


def _shuffled(keys: Iterable[BlockKey]) -> List[BlockKey]:
    """Keys in a random order, always the same.

    The remaining time is then estimated well, and slow moments of the machine
    do not all fall on one kind of block.
    """
    shuffled = list(keys)
    random.Random(0).shuffle(shuffled)
    return shuffled


def _complete(known: Dict[BlockKey, Timing], keys: List[BlockKey],
              conditions: Dict[str, Any]) -> LatencyTable:
    """A table of all blocks; those not measured are interpolated.

    Args:
        known: the measured blocks.
        keys: all blocks, in the order of the table.
        conditions: of the measurements, for the header.
    """
    rest = [key for key in keys if key not in known]
    interpolation = None
    timings = known
    if rest:
        times, error = interpolate(known, rest)
        timings = {**known, **times}
        interpolation = dict(
            measured=len(known),
            interpolated=len(rest),
            mean_relative_error=error)
    header = dict(
        version=VERSION,
        unit='microseconds',
        **conditions,
        date=datetime.now().astimezone().isoformat(timespec='seconds'),
        scale=1.,
        interpolation=interpolation,
        verification=None)
    order = {key: i for i, key in enumerate(keys)}
    return LatencyTable(
        header,
        dict(
            sorted(
                timings.items(),
                key=lambda item: order.get(item[0], len(order)))))
