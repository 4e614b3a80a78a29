"""The latency of every subnet, from a table of measured blocks.

``tools/build_latency_table.py`` measures a device's. The file is JSON::

    {"version": 1, "unit": "microseconds", "network": {...}, "device": "cpu",
     "device_name": str, "backend": "torch", "threads": 1, "batch_size": 1,
     "dtype": "float32", "versions": {...}, "date": str, "scale": 1.0,
     "interpolation": null, "verification": null,
     "blocks": [{"block_type": "MBV2Block", "in_size": 56, "cin": 24, ...
                 "latency": 812.5, "spread": 3.1, "runs": 41}, ...]}

``latency`` is for the whole batch: the median of a round of ``runs``, and of
several rounds. ``spread`` is the interquartile range of a round, or how far the
rounds lie apart if that is more. Blocks that were not measured have
``"interpolated": true``. A subnet's latency is ``scale`` times the sum of its
blocks'.
"""

import json
import logging
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
from mmengine.logging import print_log
from torch import nn

from ..checks import Fields, check_integer, check_number
from ..errors import InputError
from ..files import read_json, write_text
from ..registry import RESOURCES
from ..structures import CostTable
from .blocks import BlockFamily, BlockKey, block_families

VERSION = 1
# What decides whether times can be compared.
CONDITIONS = ('network', 'device', 'device_name', 'backend', 'threads',
              'batch_size', 'dtype', 'memory_format')


@dataclass(frozen=True)
class Timing:
    """The time that a block takes, in microseconds.

    Attributes:
        latency: of one run.
        spread: how far runs differ; unknown in some tables.
        runs: how many there were.
        interpolated: whether it was not measured but follows from others.
    """
    latency: float
    spread: Optional[float] = None
    runs: int = 0
    interpolated: bool = False

    @classmethod
    def median(cls, rounds: Sequence['Timing']) -> 'Timing':
        """Of several rounds: their median, and how far they lie apart."""
        latencies = [r.latency for r in rounds]
        return cls(
            statistics.median(latencies),
            max(
                max(latencies) - min(latencies),
                statistics.median(r.spread or 0. for r in rounds)),
            sum(r.runs for r in rounds))


@dataclass
class LatencyTable:
    """Measured blocks of a network on a device.

    Attributes:
        header: everything in the file but the blocks.
        timings: for each block.
    """
    header: Dict[str, Any]
    timings: Dict[BlockKey, Timing] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Union[str, Path]) -> 'LatencyTable':
        """Reads a table.

        Raises:
            InputError: if there is none, or it is not one; it names the field
                or the block.
        """
        content = read_json(path)
        if not isinstance(content, dict) or 'blocks' not in content:
            raise InputError(f'{path}: not a latency table (an object with '
                             'blocks)')
        rows = content.pop('blocks')
        if content.get('version') != VERSION:
            raise InputError(f'{path}: version={content.get("version")!r}; '
                             f'this program reads version {VERSION}')
        if content.get('unit') != 'microseconds':
            raise InputError(f'{path}: unit={content.get("unit")!r} must be '
                             "'microseconds'")
        if not _is_positive(content.get('scale')):
            raise InputError(f'{path}: scale={content.get("scale")!r} must be '
                             'a finite number above 0')
        if not isinstance(content.get('network'), dict):
            raise InputError(f'{path}: network={content.get("network")!r} must '
                             'be an object with the backbone\'s type')
        _check_interpolation(content.get('interpolation'), path)
        if not isinstance(rows, list) or not rows:
            raise InputError(f'{path}: blocks must be a list of at least one '
                             'block')
        timings: Dict[BlockKey, Timing] = {}
        for i, row in enumerate(rows):
            try:
                key, timing = parse_row(row)
                if key in timings:
                    raise InputError(f'block {key} appears twice')
            except InputError as error:
                raise InputError(f'{path}, blocks[{i}]: {error}') from None
            timings[key] = timing
        return cls(content, timings)

    def write(self, path: Union[str, Path]) -> None:
        """Writes the table, one line a block, whole or not at all."""
        head = json.dumps(self.header, indent=1)[:-2]
        rows = ',\n  '.join(
            json.dumps(as_row(*item)) for item in self.timings.items())
        write_text(f'{head},\n "blocks": [\n  {rows}\n ]\n}}\n', path)

    def check(self, expected: Dict[str, Any], where: str) -> None:
        """Compares the conditions with those that are expected.

        Some tables (published ones) do not say all of them; the log says so.

        Raises:
            InputError: for the first one that differs.
        """
        for name, value in expected.items():
            found = self.header.get(name)
            if found is None:
                print_log(
                    f'{where}: does not say its {name}; expected is '
                    f'{value!r}', 'current', logging.WARNING)
            elif found != value:
                raise InputError(f'{where}: the table is for {name}={found!r}, '
                                 f'expected is {name}={value!r}')

    def cost_table(self, model: nn.Module, where: str) -> CostTable:
        """What the subnets of ``model`` cost, in microseconds.

        Args:
            model: a supernet with ``blocks()`` and ``network``.
            where: the table's name, for errors.

        Raises:
            InputError: if the table is of another network, or a block that
                the space can reach is missing.
        """
        known = {
            name: value
            for name, value in model.network.items()
            if name == 'type' or name in self.header['network']
        }
        self.check(dict(network=known), where)
        scale = self.header['scale']
        missing: List[BlockKey] = []
        terms = []
        for family in block_families(model):
            sizes, of = np.unique(family.in_sizes, return_inverse=True)
            rows = [
                self._lookup(family, size, missing) for size in sizes.tolist()
            ]
            terms.append((family.scope, scale * np.stack(rows)[of]))
        if missing:
            more = f' (and {len(missing) - 1} more)' if missing[1:] else ''
            raise InputError(f'{where}: block {missing[0]} is missing{more}; '
                             'the space of the network can reach it')
        return CostTable.merge(model.search_space, terms)

    def _lookup(self, family: BlockFamily, in_size: int,
                missing: List[BlockKey]) -> np.ndarray:
        """Latencies of a block at one input size, of the scope's shape."""
        cin, cmid, cout = family.channels
        mids = [None] * cin.size if cmid is None else cmid.ravel().tolist()
        times = []
        for a, b, c in zip(cin.ravel().tolist(), mids, cout.ravel().tolist()):
            key = family.key(in_size, a, b, c)
            timing = self.timings.get(key)
            if timing is None:
                missing.append(key)
            times.append(0. if timing is None else timing.latency)
        return np.array(times).reshape(cin.shape)


@RESOURCES.register_module()
class Latency:
    """Latency by a table of measured blocks, in microseconds.

    Args:
        table: path of the table; ``tools/build_latency_table.py`` writes one.
        device, device_name, backend, threads, batch_size, dtype: what the
            table must say of itself, where given; ``device`` is ``cpu`` or
            ``cuda``.
    """

    unit = 'us'

    def __init__(self,
                 table: str,
                 device: Optional[str] = None,
                 device_name: Optional[str] = None,
                 backend: Optional[str] = None,
                 threads: Optional[int] = None,
                 batch_size: Optional[int] = None,
                 dtype: Optional[str] = None) -> None:
        self.path = table
        self.expected = dict(
            device=device,
            device_name=device_name,
            backend=backend,
            threads=threads,
            batch_size=batch_size,
            dtype=dtype)

    def table(self, model: nn.Module) -> CostTable:
        """What the subnets of ``model`` cost."""
        if not Path(self.path).is_file():
            raise InputError(
                f'latency table {self.path}: no such file; write it with '
                'python tools/build_latency_table.py CONFIG --out '
                f'{self.path}')
        table = LatencyTable.read(self.path)
        table.check({
            k: v
            for k, v in self.expected.items() if v is not None
        }, self.path)
        return table.cost_table(model, self.path)


def _check_interpolation(found: Any, path: Union[str, Path]) -> None:
    """Refuses another form than what says how many blocks were measured."""
    if found is None:
        return
    where = f'{path}: interpolation'
    fields = Fields(found, where)
    for name in ('measured', 'interpolated'):
        check_integer(f'{where}.{name}', fields.get(name, int), 0)
    check_number(
        f'{where}.mean_relative_error',
        fields.get('mean_relative_error', float),
        least=0)


def as_row(key: BlockKey, timing: Timing) -> Dict[str, Any]:
    """A block's row in the file."""
    row = dict(
        key._asdict(),
        latency=timing.latency,
        spread=timing.spread,
        runs=timing.runs)
    if timing.interpolated:
        row['interpolated'] = True
    return row


def parse_row(row: Any) -> Tuple[BlockKey, Timing]:
    """Key and timing of a block's row.

    Raises:
        InputError: it names the field.
    """
    if not isinstance(row, dict):
        raise InputError(f'{row!r} is not an object')
    for name in ('block_type', 'in_size', 'cin', 'cout', 'latency'):
        if name not in row:
            raise InputError(f'field {name!r} is missing')
    for name in ('block_type', 'shortcut'):
        value = row.get(name)
        if not (isinstance(value, str) or value is None and name == 'shortcut'):
            raise InputError(f'{name}={value!r} is not a string')
    for name in ('in_size', 'cin', 'cout', 'cmid', 'kernel_size', 'stride',
                 'runs'):
        value = row.get(name)
        optional = name not in ('in_size', 'cin', 'cout')
        legal = isinstance(value, int) and not isinstance(value, bool) and \
            value >= (0 if name == 'runs' else 1)
        if not (legal or value is None and optional):
            raise InputError(f'{name}={value!r} is not a positive integer')
    if not _is_positive(row['latency']):
        raise InputError(f'latency={row["latency"]!r} must be a finite number '
                         'of microseconds above 0')
    spread = row.get('spread')
    if spread is not None and spread != 0 and not _is_positive(spread):
        raise InputError(f'spread={spread!r} must be a finite number of at '
                         'least 0')
    key = BlockKey(*(row.get(name) for name in BlockKey._fields))
    return key, Timing(
        float(row['latency']), spread,
        row.get('runs') or 0,
        row.get('interpolated') is True)


def _is_positive(value: Any) -> bool:
    # comparing does what isfinite() cannot: integers beyond all floats
    return isinstance(value, (int, float)) and not isinstance(value, bool) \
        and 0 < value <= sys.float_info.max
