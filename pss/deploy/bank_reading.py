"""Reading banks, and checking all of them."""

import math
from collections import Counter
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Tuple

import torch
from torch import Tensor

from ..checks import Fields, check_number, check_text, shown
from ..errors import InputError
from ..files import FilePath, read_json, read_regular
from ..models.classifiers.supernet_classifier import Statistics
from ..structures import Subnet, level_name
from .bank import Bank, KeptSubnet
from .bank_format import (
    BLANK,
    FILES,
    FORMAT,
    INDEX,
    SAMPLES,
    STATISTICS,
    VERSION,
    WEIGHTS,
    digest,
    safetensors,
)
from .vocabularies import Trust, check_testing, check_trust, check_types

LONGEST_CLASS = 1000  # characters of a class's name
LARGEST_SIDE = 8192  # pixels of an input
LARGEST_INPUT = 1 << 25  # its channels times its height times its width
LARGEST_FILE = 1 << 32  # bytes of tensors
LARGEST_COST = 1e18
TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64,
         torch.uint8, torch.int32, torch.int64)


def read_bank(folder: FilePath, trust: Trust = ()) -> Bank:
    """Reads a bank and checks all of it.

    Args:
        folder: the bank's.
        trust: packages whose registered classes the bank may name, besides
            those on the lists of :mod:`.vocabularies`. They are imported, and
            their classes may do anything with the bank's arguments.

    Raises:
        InputError: for a file that is missing, truncated or altered, for a
            bank of a newer format, and for a field that is missing or wrong;
            it names the file, the field, its value and what was expected.
    """
    check_trust(trust)
    folder = Path(folder)
    index = folder / INDEX
    if not folder.is_dir():
        raise InputError(f'bank {folder}: no such folder')
    if not index.is_file():
        raise InputError(f'bank {folder}: {INDEX} is missing')
    value = Fields(read_json(index), str(index))
    if value.get('format', str) != FORMAT:
        raise value.wrong('format', f'{FORMAT!r}')
    version = value.get('version', int)
    if version > VERSION:
        raise InputError(f'{index}: version={version} is newer than '
                         f'{VERSION}, the newest that this pss-net reads; '
                         'expected a newer pss-net')
    if version < 1:
        raise value.wrong('version', f'1 to {VERSION}')
    _check_digest(index, value.get('sha256', str))
    return _Reader(folder, value, trust).bank()


def _check_digest(index: Path, found: str) -> None:
    content = read_regular(index)
    # its own checksum is the last one in it
    blank = BLANK.encode().join(content.rsplit(found.encode(), 1)) \
        if len(found) == len(BLANK) else b''
    if found != digest(blank):
        raise InputError(f'{index}: altered since it was written: its '
                         'checksum (sha256) does not fit; copy the bank again, '
                         'or build it with tools/deployment/build_bank.py')


class _Reader:
    """Reads a bank as the fields of its ``bank.json`` describe it."""

    def __init__(self, folder: Path, value: Fields, trust: Trust) -> None:
        self.folder, self.value, self.trust = folder, value, trust

    def bank(self) -> Bank:
        """The bank; all of it is checked."""
        value = self.value
        resources = value.texts('resources')
        rows = self._rows(resources)
        classes = value.get('classes', list, type(None))
        for i, name in enumerate(classes or ()):
            check_text(f'{value.where}: classes[{i}]', name, LONGEST_CLASS)
        preprocessing = value.fields('preprocessing')
        shape = _input_shape(preprocessing)
        model = dict(value.get('model', dict))
        normalisation = preprocessing.get('data_preprocessor', dict, type(None))
        if normalisation is not None:
            model['data_preprocessor'] = normalisation
        pipeline = preprocessing.get('pipeline', list)
        testing = value.get('testing', dict)
        check_types(model, pipeline, value.where, self.trust)
        if testing:
            check_testing(testing, value.where, self.trust)
        tensors = {name: self._tensors(name) for name in FILES}
        _check_values(tensors[WEIGHTS], self.folder / WEIGHTS)
        return Bank(
            model=model,
            classes=None if classes is None else tuple(classes),
            pipeline=pipeline,
            input_shape=shape,
            resources=resources,
            samples=self._samples(tensors[SAMPLES], shape[0]),
            metric=value.text('metric'),
            kept=tuple(kept for kept, _ in rows),
            weights=tensors[WEIGHTS],
            statistics=self._statistics(
                {
                    kept.subnet: number
                    for kept, number in rows
                }, tensors[STATISTICS]),
            testing=testing,
            versions=value.texts('written_by'))

    def _rows(self, resources: Dict[str, str]) -> List[Tuple[KeptSubnet, int]]:
        """The kept subnets, smallest first, and the numbers of their
        statistics."""
        value = self.value
        rows = [
            self._row(value.fields(name), resources, name)
            for name in ('smallest', 'largest')
        ]
        for i, row in enumerate(value.get('pools', list)):
            rows.insert(
                -1,
                self._row(Fields(row, f'{value.where}: pools[{i}]'), resources))
        _check_unique((kept.name for kept, _ in rows), value.where)
        return rows

    def _row(self,
             row: Fields,
             resources: Dict[str, str],
             end: Optional[str] = None) -> Tuple[KeptSubnet, int]:
        """A kept subnet and the number of its statistics.

        Args:
            row: its fields.
            resources: the unit of every resource.
            end: ``smallest`` or ``largest``; ``None`` for a pool's subnet.
        """
        try:
            subnet = Subnet.from_dict(row.get('subnet', dict))
        except InputError as error:
            raise InputError(f'{row.where}: subnet: {error}') from None
        costs = row.fields('costs')
        if set(costs.value) != set(resources):
            raise row.wrong('costs', f'one for each of {sorted(resources)}')
        resource = level = None
        if end is None:
            resource, level = row.get('resource', str), row.get('level', float)
            if resource not in resources:
                raise row.wrong('resource', f'one of {sorted(resources)}')
            name = level_name(resource, level)
        else:
            name = end
        for key in resources:
            check_number(
                f'{row.where}: costs.{key}',
                costs.get(key, float),
                least=0,
                most=LARGEST_COST)
        tested = row.get('test_accuracy', float, type(None))
        spread = row.get('standard_error', float, type(None)) \
            if 'standard_error' in row.value else None  # as in older banks
        return KeptSubnet(
            name=name,
            subnet=subnet,
            costs={key: costs.get(key, float)
                   for key in resources},
            held_out_accuracy=row.get('held_out_accuracy', float),
            test_accuracy=tested,
            resource=resource,
            level=level,
            standard_error=spread,
        ), row.get('statistics', int)

    def _tensors(self, name: str) -> Dict[str, Tensor]:
        """The tensors in a safetensors file, after verifying its checksum."""
        path = self.folder / name
        wanted = self.value.fields('files').fields(name)
        size, sha256 = wanted.get('bytes', int), wanted.get('sha256', str)
        if not 0 <= size <= LARGEST_FILE:
            raise wanted.wrong('bytes', f'0 to {LARGEST_FILE}')
        if not path.exists():
            raise InputError(f'bank {self.folder}: {name} is missing')
        found = path.stat().st_size
        if path.is_file() and found != size:
            raise InputError(f'{path}: truncated or altered: {found} bytes '
                             f'instead of {size}')
        content = read_regular(path, most=size)
        if digest(content) != sha256:
            raise InputError(f'{path}: altered since it was written: its '
                             f'checksum (sha256) is {digest(content)[:12]}... '
                             f'instead of {sha256[:12]}...')
        try:
            return safetensors().load(content)
        except Exception as error:  # safetensors has its own types
            raise InputError(
                f'{path}: not a safetensors file ({error})') from None

    def _samples(self, tensors: Dict[str, Tensor], channels: int) -> Tensor:
        """The sample images ``(N, C, H, W)``."""
        path = self.folder / SAMPLES
        samples = tensors.get('images')
        if samples is None or samples.dim() != 4:
            raise InputError(f'{path}: expected images (N, C, H, W)')
        if len(samples) and samples.shape[1] not in (1, channels):
            raise InputError(f'{path}: images of {samples.shape[1]} channels: '
                             f'expected {channels}, or grey')
        _check_values(tensors, path)
        return samples

    def _statistics(self, numbers: Dict[Subnet, int],
                    tensors: Dict[str, Tensor]) -> Dict[Subnet, Statistics]:
        found: Dict[int, Statistics] = {}
        for key, value in tensors.items():
            number, _, name = key.partition('.')
            # each number is written in one way only
            if not (number.isascii() and number.isdecimal()) or \
                    len(number) > 9 or number != str(int(number)) or \
                    value.dtype not in TYPES or value.dim() != 2 or \
                    not value.is_floating_point() or \
                    value.shape[0] != 2 or \
                    not value.float().isfinite().all() or \
                    (value[1] < 0).any():
                raise InputError(
                    f'{self.folder / STATISTICS}: {shown(key)}: expected a '
                    'finite mean and a variance of at least 0, together of '
                    'shape (2, C)')
            found.setdefault(int(number), {})[name] = value[0], value[1]
        for subnet, wanted in numbers.items():
            # a network without batch norms has no statistics at all
            if tensors and wanted not in found:
                raise InputError(f'{self.value.where}: statistics={wanted} of '
                                 f'{subnet}: expected one of {sorted(found)}')
        return {
            subnet: found.get(wanted, {})
            for subnet, wanted in numbers.items()
        }


def _input_shape(preprocessing: Fields) -> Tuple[int, int, int]:
    """Channels, height and width of the model's input."""
    shape = preprocessing.get('input_shape', list)
    if len(shape) != 3 or not all(
            type(size) is int and 0 < size <= LARGEST_SIDE for size in shape):
        raise preprocessing.wrong('input_shape',
                                  f'3 integers from 1 to {LARGEST_SIDE}')
    if math.prod(shape) > LARGEST_INPUT:
        raise preprocessing.wrong('input_shape',
                                  f'at most {LARGEST_INPUT} values')
    channels, height, width = shape
    return channels, height, width


def _check_unique(names: Iterable[str], where: str) -> None:
    """Refuses two kept subnets of the same name: names select them."""
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise InputError(f'{where}: {times} subnets are called {name!r}: '
                         'expected different names')


def _check_values(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuses types that networks do not have, and numbers that are not finite,
    which would turn scores into NaN."""
    for key, value in tensors.items():
        # networks compute in float32, in which a larger number is infinite
        if value.dtype not in TYPES or not value.float().isfinite().all():
            found = f'{value.dtype}' if value.dtype not in TYPES \
                else 'some that are not finite'
            raise InputError(f'{path}: {shown(key)}: expected finite numbers, '
                             f'found {found}')
