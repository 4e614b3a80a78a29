"""Building a device's latency table, in as many sittings as it takes."""

import json
import os
import random
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import (
    Any,
    ContextManager,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Union,
)

import numpy as np

from ..checks import shown
from ..engine.runner.progress import logged
from ..errors import InputError
from ..files import parse_json, read_text, write_text
from ..locks import locked
from ..resources import BlockKey, LatencyTable, Timing, reachable_blocks
from ..resources.interpolation import choose_blocks, interpolate
from ..resources.latency import CONDITIONS, VERSION, as_row, parse_row
from .profiler import Profiler, compare, subnets_to_verify


def build_table(profiler: Profiler,
                path: Union[str, Path],
                max_blocks: Optional[int] = None,
                rounds: int = 3) -> LatencyTable:
    """Measures the blocks that a space can reach and writes the table.

    Every measurement goes at once into a journal, ``PATH.partial``. A run that
    was stopped goes on from there, and a table that is complete is not measured
    again; with larger ``max_blocks`` only what is new is.

    Args:
        profiler: measures.
        path: of the table.
        max_blocks: measure at most so many (but two of each kind), and
            interpolate the rest.
        rounds: how often to measure each block, at different times.

    Raises:
        InputError: if there is a table or a journal that was measured under
            other conditions, which stays as it is, or another process builds
            this table.
    """
    path = Path(os.path.realpath(path))  # one table, whatever it is called
    with _locked(path):
        return _build(profiler, path, max_blocks, rounds)


def _locked(path: Path) -> ContextManager[None]:
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
        _check_conditions(old.header, conditions, path)
        known = {k: t for k, t in old.timings.items() if not t.interpolated}
    with Journal(path, conditions) as journal:
        missing = [
            key for _ in range(rounds)
            for key in _shuffled(k for k in chosen if k not in known)
        ]
        # what was measured before the run was stopped
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
    """In a random order, in which the time left is estimated well, and slow
    moments of the machine do not fall on one kind of block."""
    keys = list(keys)
    random.Random(0).shuffle(keys)
    return keys


def verify_table(profiler: Profiler,
                 table: LatencyTable,
                 path: Union[str, Path],
                 num: int,
                 seed: int = 0,
                 rounds: int = 3) -> Dict[str, Any]:
    """Compares the table's sums with whole subnets, measured.

    Writes what it found, and the factor that makes up for what sums leave out,
    into the table.

    Args:
        profiler: measures.
        table: of the same device.
        path: of the table.
        num: how many subnets, at least 3; drawn from the space's prior.
        seed: of the draw.
        rounds: how often to measure each subnet.

    Returns:
        The table's new field ``verification``, see :func:`.compare`.

    Raises:
        InputError: if another process builds this table.
    """
    path = Path(os.path.realpath(path))
    with _locked(path):
        return _verify(profiler, table, path, num, seed, rounds)


def _verify(profiler: Profiler, table: LatencyTable, path: Path, num: int,
            seed: int, rounds: int) -> Dict[str, Any]:
    subnets = subnets_to_verify(profiler.model, num, seed)
    table.header['scale'] = 1.
    sums = table.cost_table(profiler.model, str(path))(
        profiler.model.search_space.encode(subnets))
    what = f'Measuring {num} subnets'
    todo = list(subnets) * rounds
    timings = [
        profiler.measure(profiler.subnet(subnet))
        for subnet in logged(todo, len(todo), what)
    ]
    measured = np.array(
        [Timing.median(timings[i::num]).latency for i in range(num)])
    found = dict(
        compare(sums, measured),
        subnets=num,
        seed=seed,
        measured=[float(measured.min()),
                  float(measured.max())])
    table.header['scale'] = found['scale']
    table.header['verification'] = found
    table.write(path)
    return found


def _complete(known: Dict[BlockKey, Timing], keys: List[BlockKey],
              conditions: Dict[str, Any]) -> LatencyTable:
    """A table of all blocks, those interpolated that were not measured."""
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


class Journal:
    """Measurements that have no table yet: a line of conditions, then a line a
    block, each written as soon as it is known.

    Args:
        path: of the table.
        conditions: of the measurements.

    Attributes:
        rounds: the measurements of each block.
        is_needed: whether it stays when it is closed.
    """

    def __init__(self, path: Path, conditions: Dict[str, Any]) -> None:
        self.path = path.with_name(path.name + '.partial')
        self.rounds: Dict[BlockKey, List[Timing]] = {}
        self.is_needed = True
        self._conditions = conditions
        self._file = None

    def __enter__(self) -> 'Journal':
        try:
            lines = read_text(self.path).splitlines() \
                if os.path.lexists(self.path) else []
        except InputError as error:
            raise InputError(f'{error}; remove it to measure anew') from None
        rows = [_parse(line) for line in lines]
        if rows and rows[-1] is None:
            rows.pop()  # it was stopped in the middle of a line
        if rows:
            if not isinstance(rows[0], dict):
                raise InputError(f'{self.path}: damaged in line 1; remove it '
                                 'to measure anew')
            _check_conditions(rows[0], self._conditions, self.path)
        for i, row in enumerate(rows[1:], start=2):
            try:
                key, timing = parse_row(row)
            except InputError as error:
                raise InputError(f'{self.path}, line {i}: {error}; remove the '
                                 'file to measure anew') from None
            self.rounds.setdefault(key, []).append(timing)
        lines = [
            self._conditions, *(as_row(key, timing)
                                for key, timings in self.rounds.items()
                                for timing in timings)
        ]
        write_text(''.join(json.dumps(row) + '\n' for row in lines), self.path)
        with self._writing():
            self._file = self.path.open('a', encoding='utf-8')
        return self

    def __exit__(self, *error) -> None:
        with suppress(OSError):  # all was flushed, or that is the error
            self._file.close()
        if not self.is_needed or not self.rounds:
            self.path.unlink(missing_ok=True)

    def add(self, key: BlockKey, timing: Timing) -> None:
        """Writes a measurement.

        Raises:
            InputError: if it cannot be written.
        """
        self.rounds.setdefault(key, []).append(timing)
        with self._writing():
            self._file.write(json.dumps(as_row(key, timing)) + '\n')
            self._file.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f'{self.path}: cannot be written '
                             f'({error.strerror or error})') from None


def _parse(line: str) -> Any:
    try:
        return parse_json(line)
    except InputError:
        return None


def _check_conditions(found: Dict[str, Any], wanted: Dict[str, Any],
                      path: Path) -> None:
    for name in CONDITIONS:
        if found.get(name) != wanted[name]:
            raise InputError(
                f'{path} was measured with {name}={shown(found.get(name))}, '
                f'now it is {wanted[name]!r}; choose another --out')
