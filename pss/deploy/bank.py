"""The subnet bank: a supernet's weights once, and what each kept subnet adds.

A bank is a folder::

    bank.json               what is in it, for people and for programs
    weights.safetensors     the supernet's weights
    statistics.safetensors  batch-norm statistics of each kept subnet
    samples.safetensors     a few held-out images, to check exports on

It holds data only, and reading it runs nothing: safetensors is a format for
tensors, JSON one for text, and what the network and its preprocessing may be is
a closed list of classes with their keys and values, see :func:`check_types`.
Every file has a checksum in ``bank.json``, and that file one of itself.
"""

import ctypes
import hashlib
import math
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..checks import Fields, check_number, check_text, shown
from ..errors import InputError
from ..files import FilePath, json_text, read_json, read_regular
from ..models.classifiers.supernet_classifier import Statistics
from ..structures import Subnet, level_name
from .classifier_vocabulary import check_classifier, check_pipeline
from .detector_vocabulary import (
    check_detector,
    check_detector_pipeline,
    is_detector,
)
from .testing_vocabulary import check_testing
from .vocabulary import Trust, check_trust

FORMAT = 'pss-bank'
VERSION = 1
INDEX = 'bank.json'
WEIGHTS, STATISTICS, SAMPLES = (f'{name}.safetensors'
                                for name in ('weights', 'statistics',
                                             'samples'))
FILES = WEIGHTS, STATISTICS, SAMPLES

LONGEST_CLASS = 1000  # characters of a class's name
LARGEST_SIDE = 8192  # pixels of an input
LARGEST_INPUT = 1 << 25  # its channels by its height by its width
LARGEST_FILE = 1 << 32  # bytes of tensors
LARGEST_COST = 1e18
TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64,
         torch.uint8, torch.int32, torch.int64)


@dataclass(frozen=True)
class KeptSubnet:
    """A subnet of a bank.

    Attributes:
        name: of its pool, such as ``flops 150``; or ``largest``, ``smallest``.
        subnet: its resolution and widths.
        costs: in every resource, in the resource's unit.
        held_out_accuracy: on images held out from the training set, which it
            was chosen by; in percent, if the bank's metric is.
        test_accuracy: on the test images; ``None`` if it was not tested.
        resource, level: its pool's, ``None`` for the ends of the space.
    """
    name: str
    subnet: Subnet
    costs: Mapping[str, float] = field(hash=False)
    held_out_accuracy: float
    test_accuracy: Optional[float] = None
    resource: Optional[str] = None
    level: Optional[float] = None


@dataclass(frozen=True)
class Bank:
    """What a bank holds.

    Attributes:
        model: config of the supernet, preprocessing included.
        classes: their names, or ``None``.
        pipeline: config of the transforms that make the model's input of an
            image file.
        input_shape: what they give: channels, height, width.
        resources: the unit of every resource.
        metric: what the accuracies are, as the evaluator calls it.
        kept: the smallest subnet, the best of every pool, the largest.
        weights: the model's state dict, without batch-norm statistics.
        statistics: of each kept subnet.
        samples: a few images as ``pipeline`` gives them, ``(N, C, H, W)``.
        testing: configs of the dataloader and evaluator that tested it, for
            exported networks; nothing here uses them.
        versions: of the packages that wrote it.
    """
    model: Dict[str, Any]
    classes: Optional[Tuple[str, ...]]
    pipeline: List[Dict[str, Any]]
    input_shape: Tuple[int, int, int]
    resources: Dict[str, str]
    metric: str
    kept: Tuple[KeptSubnet, ...]
    weights: Dict[str, Tensor]
    statistics: Dict[Subnet, Statistics]
    samples: Tensor
    testing: Dict[str, Any] = field(default_factory=dict)
    versions: Dict[str, str] = field(default_factory=dict)


def check_types(model: Any, pipeline: Any, where: str,
                trust: Trust = ()) -> None:
    """Refuses configs of anything but the networks and the preprocessing that
    banks are for.

    Args:
        model, pipeline: the configs.
        where: they stand, for the message.
        trust: packages whose registered classes are allowed besides; they
            have been imported.

    Raises:
        InputError: it names the field, its value and what was expected.
    """
    if is_detector(model):
        check_detector(model, where, trust)
        check_detector_pipeline(pipeline, where, trust)
    else:
        check_classifier(model, where, trust)
        check_pipeline(pipeline, where, trust)


# --- writing ---------------------------------------------------------------


def check_target(folder: FilePath) -> None:
    """Checks that a bank can be written to a folder.

    Raises:
        InputError: if it holds anything but a bank, or safetensors is not
            installed.
    """
    folder = Path(folder)
    _safetensors()
    if not os.path.lexists(folder):
        return
    expected = 'expected a new folder, an empty one, or a bank to replace'
    if not folder.is_dir():
        raise InputError(f'{folder}: no folder; {expected}')
    others = sorted(
        path.name for path in folder.iterdir()
        if path.name not in (INDEX,
                             *FILES) or path.is_symlink() or not path.is_file())
    if others:
        raise InputError(
            f'{folder}: holds something that is no bank ({others[0]!r}'
            f'{", ..." if others[1:] else ""}), which would be lost; '
            f'{expected}')
    if any(folder.iterdir()):
        index = read_json(folder / INDEX)
        if not isinstance(index, dict) or index.get('format') != FORMAT:
            raise InputError(f'{folder / INDEX}: not the index of a bank; '
                             f'{expected}')


def write_bank(bank: Bank, folder: FilePath, trust: Trust = ()) -> None:
    """Writes a bank whole or not at all.

    It is written under a temporary name and read back. A bank that is there
    already is exchanged for it in one step where the file system can (Linux),
    else in two renames.

    Args:
        bank: the bank.
        folder: where to; a link to a folder is followed.
        trust: packages whose registered classes it may name; readers have to
            trust them as well.

    Raises:
        InputError: if it cannot be written, holds what :func:`read_bank`
            refuses, or ``folder`` holds anything but a bank.
    """
    folder = Path(folder)
    if folder.is_symlink():
        folder = folder.resolve()
    check_target(folder)
    check_types(bank.model, bank.pipeline, str(folder), check_trust(trust))
    save = _safetensors().save
    order = list(dict.fromkeys(kept.subnet for kept in bank.kept))
    data = {
        WEIGHTS:
        save({
            k: v.detach().cpu().contiguous()
            for k, v in bank.weights.items()
        }),
        STATISTICS:
        save({
            f'{i}.{name}': torch.stack([mean, var]).detach().cpu()
            for i, subnet in enumerate(order)
            for name, (mean, var) in bank.statistics[subnet].items()
        }),
        SAMPLES:
        save({'images': bank.samples.contiguous()}),
    }
    index = _index(bank, order, data)
    temporary = folder.with_name(f'{folder.name}.{os.getpid()}.tmp')
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, content in {**data, INDEX: index.encode()}.items():
            with open(temporary / name, 'wb') as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _read_back(temporary, folder, trust)
        _exchange(temporary, folder)
    except OSError as error:
        raise InputError(f'{folder}: cannot be written '
                         f'({error.strerror or error})') from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read_back(written: Path, folder: Path, trust: Trust) -> None:
    """Refuses to keep a bank that could not be read again."""
    try:
        read_bank(written, trust)
    except InputError as error:
        raise InputError(f'not written: {error}'.replace(
            str(written), str(folder))) from None


def _index(bank: Bank, order: List[Subnet], data: Dict[str, bytes]) -> str:
    """The text of ``bank.json``."""

    def row(kept: KeptSubnet) -> Dict[str, Any]:
        pool = {} if kept.resource is None else dict(
            resource=kept.resource, level=kept.level)
        return dict(
            pool,
            subnet=kept.subnet.as_dict(),
            costs=dict(kept.costs),
            held_out_accuracy=kept.held_out_accuracy,
            test_accuracy=kept.test_accuracy,
            statistics=order.index(kept.subnet))

    ends = {kept.name: row(kept) for kept in bank.kept if kept.resource is None}
    model = dict(bank.model)
    normalisation = model.pop('data_preprocessor', None)
    value = dict(
        format=FORMAT,
        version=VERSION,
        written_by=bank.versions,
        resources=bank.resources,
        metric=bank.metric,
        largest=ends['largest'],
        smallest=ends['smallest'],
        pools=[row(k) for k in bank.kept if k.resource is not None],
        classes=None if bank.classes is None else list(bank.classes),
        preprocessing=dict(
            pipeline=bank.pipeline,
            input_shape=list(bank.input_shape),
            data_preprocessor=normalisation),
        model=model,
        testing=bank.testing,
        files={
            name: dict(bytes=len(content), sha256=_digest(content))
            for name, content in data.items()
        },
        sha256=_BLANK)
    try:
        text = json_text(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            'the config cannot be kept in a bank: it holds more '
            f'than numbers, text, lists and dicts ({error})') from None
    return _digest(text.encode()).join(text.rsplit(_BLANK, 1))


# stands for a file's own checksum while that is computed
_BLANK = 64 * '0'


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _exchange(new: Path, old: Path) -> None:
    """Gives ``new`` the name ``old``; what had that name is gone after."""
    if not old.exists():
        new.rename(old)
        return
    at_cwd, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        done = ctypes.CDLL(None).renameat2(at_cwd, os.fsencode(new), at_cwd,
                                           os.fsencode(old), exchange) == 0
    except (OSError, AttributeError, TypeError):  # no Linux, or an old one
        done = False
    if not done:
        aside = new.with_suffix('.old')
        old.rename(aside)
        new.rename(old)
        shutil.rmtree(aside)


# --- reading ---------------------------------------------------------------


def read_bank(folder: FilePath, trust: Trust = ()) -> Bank:
    """Reads a bank and checks all of it.

    Args:
        folder: the bank's.
        trust: packages whose registered classes the bank may name besides
            those of :func:`check_types`. They are imported, and whatever
            their classes do with the bank's arguments may happen.

    Raises:
        InputError: for a file that is missing, truncated or altered, a bank
            of a newer format, and a field that is missing or wrong; it names
            the file, the field, its value and what was expected.
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
                         'a newer pss-net reads it')
    if version < 1:
        raise value.wrong('version', f'1 to {VERSION}')
    _check_digest(index, value.get('sha256', str))
    return _Reader(folder, value, trust).bank()


def _check_digest(index: Path, digest: str) -> None:
    content = read_regular(index)
    # its own checksum stands last
    blank = _BLANK.encode().join(content.rsplit(digest.encode(), 1)) \
        if len(digest) == len(_BLANK) else b''
    if digest != _digest(blank):
        raise InputError(f'{index}: altered since it was written: its '
                         'checksum (sha256) does not fit; copy the bank anew, '
                         'or build it with tools/deployment/build_bank.py')


class _Reader:
    """Reads what the fields of ``bank.json`` describe."""

    def __init__(self, folder: Path, value: Fields, trust: Trust) -> None:
        self.folder, self.value, self.trust = folder, value, trust

    def bank(self) -> Bank:
        value = self.value
        resources = value.texts('resources')
        rows = [
            self._row(value.fields(name), resources, name)
            for name in ('smallest', 'largest')
        ]
        for i, row in enumerate(value.get('pools', list)):
            rows.insert(
                -1,
                self._row(Fields(row, f'{value.where}: pools[{i}]'), resources))
        _check_unique((kept.name for kept, _ in rows), value.where)
        classes = value.get('classes', list, type(None))
        for i, name in enumerate(classes or ()):
            check_text(f'{value.where}: classes[{i}]', name, LONGEST_CLASS)
        preprocessing = value.fields('preprocessing')
        shape = preprocessing.get('input_shape', list)
        if len(shape) != 3 or not all(
                type(size) is int and 0 < size <= LARGEST_SIDE
                for size in shape):
            raise preprocessing.wrong('input_shape',
                                      f'3 integers from 1 to {LARGEST_SIDE}')
        if math.prod(shape) > LARGEST_INPUT:
            raise preprocessing.wrong('input_shape',
                                      f'at most {LARGEST_INPUT} values')
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
        samples = tensors[SAMPLES].get('images')
        if samples is None or samples.dim() != 4:
            raise InputError(f'{self.folder / SAMPLES}: holds no images '
                             '(N, C, H, W)')
        if len(samples) and samples.shape[1] not in (1, shape[0]):
            raise InputError(f'{self.folder / SAMPLES}: images of '
                             f'{samples.shape[1]} channels: expected '
                             f'{shape[0]}, or grey')
        _check_values(tensors[SAMPLES], self.folder / SAMPLES)
        return Bank(
            model=model,
            classes=None if classes is None else tuple(classes),
            pipeline=pipeline,
            input_shape=tuple(shape),
            resources=resources,
            metric=value.text('metric'),
            kept=tuple(kept for kept, _ in rows),
            weights=tensors[WEIGHTS],
            statistics=self._statistics(
                {
                    kept.subnet: number
                    for kept, number in rows
                }, tensors[STATISTICS]),
            samples=samples,
            testing=testing,
            versions=value.texts('written_by'))

    def _row(self,
             row: Fields,
             resources: Dict[str, str],
             end: Optional[str] = None) -> Tuple[KeptSubnet, int]:
        """A kept subnet, and the number of its statistics."""
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
        for name in resources:
            check_number(
                f'{row.where}: costs.{name}',
                costs.get(name, float),
                least=0,
                most=LARGEST_COST)
        tested = row.get('test_accuracy', float, type(None))
        return KeptSubnet(
            name=end or level_name(resource, level),
            subnet=subnet,
            costs={name: costs.get(name, float)
                   for name in resources},
            held_out_accuracy=row.get('held_out_accuracy', float),
            test_accuracy=tested,
            resource=resource,
            level=level,
        ), row.get('statistics', int)

    def _tensors(self, name: str) -> Dict[str, Tensor]:
        """What a safetensors file holds, if its checksum fits."""
        path = self.folder / name
        wanted = self.value.fields('files').fields(name)
        size, digest = wanted.get('bytes', int), wanted.get('sha256', str)
        if not 0 <= size <= LARGEST_FILE:
            raise wanted.wrong('bytes', f'0 to {LARGEST_FILE}')
        if not path.exists():
            raise InputError(f'bank {self.folder}: {name} is missing')
        found = path.stat().st_size
        if path.is_file() and found != size:
            raise InputError(f'{path}: truncated or altered: {found} bytes '
                             f'instead of {size}')
        content = read_regular(path, most=size)
        if _digest(content) != digest:
            raise InputError(f'{path}: altered since it was written: its '
                             f'checksum (sha256) is {_digest(content)[:12]}... '
                             f'instead of {digest[:12]}...')
        try:
            return _safetensors().load(content)
        except Exception as error:  # safetensors has errors of its own
            raise InputError(
                f'{path}: not a safetensors file ({error})') from None

    def _statistics(self, numbers: Dict[Subnet, int],
                    tensors: Dict[str, Tensor]) -> Dict[Subnet, Statistics]:
        found: Dict[int, Statistics] = {}
        for key, value in tensors.items():
            number, _, name = key.partition('.')
            # one text for one number
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
        for subnet, number in numbers.items():
            # without any batch norm there is nothing for any subnet
            if tensors and number not in found:
                raise InputError(f'{self.value.where}: statistics={number} of '
                                 f'{subnet}: expected one of {sorted(found)}')
        return {
            subnet: found.get(number, {})
            for subnet, number in numbers.items()
        }


def _check_unique(names: Iterable[str], where: str) -> None:
    """Refuses two kept subnets of one name: a switch goes by it."""
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise InputError(f'{where}: {times} subnets are called {name!r}: '
                         'expected different names')


def _check_values(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuses other types than networks have, and NaN and infinity, which
    would make scores of them."""
    for key, value in tensors.items():
        # networks compute in float32, in which a larger number is infinite
        if value.dtype not in TYPES or not value.float().isfinite().all():
            found = f'{value.dtype}' if value.dtype not in TYPES \
                else 'what is not finite'
            raise InputError(f'{path}: {shown(key)}: expected finite numbers, '
                             f'found {found}')


def check_classes(classes: Optional[Sequence[str]], model: Dict[str, Any],
                  where: str) -> None:
    """Refuses fewer names than a classifier has outputs.

    Raises:
        InputError: it names both numbers.
    """
    outputs = (model.get('head') or {}).get('num_classes')
    if classes is not None and outputs is not None and len(classes) < outputs:
        raise InputError(f'{where}: classes: {len(classes)} names, expected '
                         f'{outputs}, as many as model.head.num_classes')


def _safetensors():
    """The package, which only banks need."""
    try:
        import safetensors.torch
    except ImportError:
        raise InputError(
            'banks need safetensors: pip install safetensors') from None
    return safetensors.torch
