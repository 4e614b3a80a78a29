"""The latency of every subnet, from a table of measured blocks.

``tools/build_latency_table.py`` measures a device's. The file is JSON::

    {"version": 1, "unit": "microseconds", "network": {...}, "device": "cpu",
     "device_name": str, "backend": "torch", "threads": 1, "batch_size": 1,
     "dtype": "float32", "versions": {...}, "date": str, "scale": 1.0,
     "interpolation": null, "verification": null,
     "blocks": [{"block_type": "MBV2Block", "in_size": 56, "cin": 24, ...
                 "latency": 812.5, "spread": 3.1, "runs": 41}, ...]}

``latency`` is for the whole batch: the median of a round of ``runs``, and of
several rounds. ``spread`` is the interquartile range of a round, or the
distance between rounds if that is more. Blocks that were not measured have
``"interpolated": true``. A subnet's latency is ``scale`` times the sum of its
blocks'.
"""

import json
import logging
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from mmengine.logging import print_log

from ..checks import Fields, check_integer, check_number, shown
from ..errors import InputError
from ..files import FilePath, read_json, write_text
from ..registry import RESOURCES
from ..structures import CostTable
from ..supernet import Supernet
from .blocks import BlockFamily, BlockKey, block_families

VERSION = 1
# Header fields that must agree for times to be comparable.
CONDITIONS = ('network', 'device', 'device_name', 'backend', 'threads',
              'batch_size', 'dtype', 'memory_format')


@dataclass(frozen=True)
class Timing:
    """The time that a block takes, in microseconds.

    Attributes:
        latency: of one run.
        spread: how much runs differ; ``None`` in tables that leave it out.
        runs: how many there were.
        interpolated: whether it is estimated from other blocks' times.
    """
    latency: float
    spread: Optional[float] = None
    runs: int = 0
    interpolated: bool = False

    @classmethod
    def median(cls, rounds: Sequence['Timing']) -> 'Timing':
        """Several rounds as one: their median, and how far apart they lie."""
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
        timings: of each block.
    """
    header: Dict[str, Any]
    timings: Dict[BlockKey, Timing] = field(default_factory=dict)

    @classmethod
    def read(cls, path: FilePath) -> 'LatencyTable':
        """Reads a table.

        Raises:
            InputError: if there is no such file or it is no latency table; it
                names the field or the block.
        """
        content = read_json(path)
        if not isinstance(content, dict) or 'blocks' not in content:
            raise InputError(f'{path}: not a latency table; expected an object '
                             'with blocks')
        rows = content.pop('blocks')
        if content.get('version') != VERSION:
            raise InputError(f'{path}: version={content.get("version")!r}: '
                             f'expected {VERSION}')
        if content.get('unit') != 'microseconds':
            raise InputError(f'{path}: unit={content.get("unit")!r}: expected '
                             "'microseconds'")
        check_number(f'{path}: scale', content.get('scale'), above=0)
        if not isinstance(content.get('network'), dict):
            raise InputError(f'{path}: network={content.get("network")!r}: '
                             "expected an object with the backbone's type")
        _check_interpolation(content.get('interpolation'), path)
        if not isinstance(rows, list) or not rows:
            raise InputError(
                f'{path}: blocks={shown(rows)}: expected a list of '
                'at least one block')
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

    def write(self, path: FilePath) -> None:
        """Writes the table atomically, one line a block."""
        head = json.dumps(self.header, indent=1)[:-2]
        rows = ',\n  '.join(
            json.dumps(as_row(*item)) for item in self.timings.items())
        write_text(f'{head},\n "blocks": [\n  {rows}\n ]\n}}\n', path)

    def check(self, expected: Dict[str, Any], where: str) -> None:
        """Checks that header fields have the expected values.

        Some tables, published ones among them, leave fields out: that only
        warns.

        Raises:
            InputError: for the first field that differs.
        """
        for name, value in expected.items():
            found = self.header.get(name)
            if found is None:
                print_log(
                    f'{where}: does not say its {name}; expected {value!r}',
                    'current', logging.WARNING)
            elif found != value:
                raise InputError(f'{where}: {name}={found!r}: expected '
                                 f'{value!r}')

    def cost_table(self, model: Supernet, where: str) -> CostTable:
        """The latencies of a supernet's subnets, in microseconds.

        Args:
            model: the supernet.
            where: the table's name, for errors.

        Raises:
            InputError: if the table is for another network, or a block that
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
        times = []
        for key in family.keys(in_size):
            timing = self.timings.get(key)
            if timing is None:
                missing.append(key)
            times.append(0. if timing is None else timing.latency)
        return np.array(times).reshape(family.channels[0].shape)


@RESOURCES.register_module()
class Latency:
    """Latency from a table of measured blocks, in microseconds.

    Args:
        table: path of the table; ``tools/build_latency_table.py`` writes one.
        device, device_name, backend, threads, batch_size, dtype: what is
            expected in the table's header; anything if ``None``. ``device`` is
            ``cpu`` or ``cuda``.
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

    def table(self, model: Supernet) -> CostTable:
        """The latencies of a supernet's subnets."""
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


def _check_interpolation(found: Any, path: FilePath) -> None:
    """Checks the header's summary of what was measured and interpolated."""
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
        raise InputError(f'{shown(row)}: expected an object')
    for name in ('block_type', 'in_size', 'cin', 'cout', 'latency'):
        if name not in row:
            raise InputError(f'field {name!r} is missing')
    for name in ('block_type', 'shortcut'):
        value = row.get(name)
        if not (isinstance(value, str) or value is None and name == 'shortcut'):
            raise InputError(f'{name}={shown(value)}: expected a string')
    for name in ('in_size', 'cin', 'cout'):
        check_integer(name, row[name], least=1)
    for name in ('cmid', 'kernel_size', 'stride', 'runs'):
        if row.get(name) is not None:
            check_integer(name, row[name], least=0 if name == 'runs' else 1)
    check_number('latency', row['latency'], above=0)
    spread = row.get('spread')
    if spread is not None:
        check_number('spread', spread, least=0)
    key = BlockKey._make(map(row.get, BlockKey._fields))
    return key, Timing(
        float(row['latency']), spread,
        row.get('runs') or 0,
        row.get('interpolated') is True)
