"""The subnet bank: a supernet's weights once, and what each kept subnet adds.

A bank is a folder::

    bank.json               what is in it, for people and for programs
    weights.safetensors     the supernet's weights
    statistics.safetensors  batch-norm statistics of each kept subnet
    samples.safetensors     a few held-out images, to check exports on

It holds data only, and reading it runs nothing: safetensors is a format for
tensors, JSON one for text, and networks and transforms are built from types
that OpenMMLab's packages and this one register for the purpose, see
:func:`check_types`. Every file has a checksum in ``bank.json``, and that file
one of itself.
"""

import ctypes
import hashlib
import json
import math
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import torch
from torch import Tensor

from ..errors import InputError
from ..models.classifiers.supernet_classifier import Statistics
from ..registry import check_registered
from ..structures import Subnet, level_name
from ..structures.subnet_file import json_text, read_json
from .detector_types import check_detector_types, is_detector

FORMAT = 'pss-bank'
VERSION = 1
INDEX = 'bank.json'
WEIGHTS, STATISTICS, SAMPLES = (
    f'{name}.safetensors' for name in ('weights', 'statistics', 'samples'))
FILES = WEIGHTS, STATISTICS, SAMPLES

# Where the types that a bank may name are defined. Others would do more than
# compute: load files, say, or fetch them.
MODEL_MODULES = ('pss.models', 'mmpretrain.models.heads',
                 'mmpretrain.models.necks', 'mmpretrain.models.losses',
                 'mmpretrain.models.utils', 'mmcv.cnn', 'mmengine.model',
                 'torch.nn')
TRANSFORM_MODULES = ('pss.datasets', 'mmpretrain.datasets.transforms',
                     'mmcv.transforms')

FilePath = Union[str, Path]


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


def check_types(model: Any, pipeline: Any, where: str) -> None:
    """Refuses configs that name anything but networks and transforms.

    MMEngine takes a type that no registry has for the path of something to
    import and call. So every type is looked up before anything is built.

    Args:
        model, pipeline: the configs.
        where: they stand, for the message.

    Raises:
        InputError: it names the field and the type.
    """
    if is_detector(model):
        return check_detector_types(model, pipeline, where)
    import mmpretrain.datasets  # noqa: F401 (registers the transforms)
    from mmpretrain.registry import MODELS, TRANSFORMS
    for config, registry, modules, name in (
            (model, MODELS, MODEL_MODULES, 'model'),
            (pipeline, TRANSFORMS, TRANSFORM_MODULES, 'pipeline')):
        check_registered(config, registry, modules, f'{where}: {name}')


# --- writing ---------------------------------------------------------------


def check_target(folder: FilePath) -> None:
    """Checks that a bank can be written to a folder.

    Raises:
        InputError: if it holds something that is no bank, or safetensors is
            not installed.
    """
    folder = Path(folder)
    _safetensors()
    if folder.exists() and not (folder / INDEX).is_file() and \
            not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f'{folder}: holds something that is no bank; legal is '
                         'a new folder, an empty one or a bank to replace')


def write_bank(bank: Bank, folder: FilePath) -> None:
    """Writes a bank whole or not at all.

    It is written under a temporary name. A bank that is there already is
    exchanged for it in one step where the file system can (Linux), else in
    two renames.

    Raises:
        InputError: if it cannot be written, or ``folder`` holds something that
            is no bank.
    """
    folder = Path(folder)
    if folder.is_symlink():
        folder = folder.resolve()
    check_target(folder)
    check_types(bank.model, bank.pipeline, str(folder))
    save = _safetensors().save
    order = list(dict.fromkeys(kept.subnet for kept in bank.kept))
    data = {
        WEIGHTS: save({k: v.detach().cpu().contiguous()
                       for k, v in bank.weights.items()}),
        STATISTICS: save({
            f'{i}.{name}': torch.stack([mean, var]).detach().cpu()
            for i, subnet in enumerate(order)
            for name, (mean, var) in bank.statistics[subnet].items()}),
        SAMPLES: save({'images': bank.samples.contiguous()}),
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
        _exchange(temporary, folder)
    except OSError as error:
        raise InputError(f'{folder}: cannot be written '
                         f'({error.strerror or error})') from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _index(bank: Bank, order: List[Subnet], data: Dict[str, bytes]) -> str:
    """The text of ``bank.json``."""

    def row(kept: KeptSubnet) -> Dict[str, Any]:
        pool = {} if kept.resource is None else dict(
            resource=kept.resource, level=kept.level)
        return dict(
            pool, subnet=kept.subnet.as_dict(), costs=dict(kept.costs),
            held_out_accuracy=kept.held_out_accuracy,
            test_accuracy=kept.test_accuracy,
            statistics=order.index(kept.subnet))

    ends = {kept.name: row(kept) for kept in bank.kept
            if kept.resource is None}
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
        preprocessing=dict(pipeline=bank.pipeline,
                           input_shape=list(bank.input_shape),
                           data_preprocessor=normalisation),
        model=model,
        testing=bank.testing,
        files={name: dict(bytes=len(content), sha256=_digest(content))
               for name, content in data.items()},
        sha256=_BLANK)
    try:
        text = json_text(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError('the config cannot be kept in a bank: it holds more '
                         f'than numbers, text, lists and dicts ({error})'
                         ) from None
    return text.replace(_BLANK, _digest(text.encode()))


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
        done = ctypes.CDLL(None).renameat2(
            at_cwd, os.fsencode(new), at_cwd, os.fsencode(old), exchange) == 0
    except (OSError, AttributeError, TypeError):  # no Linux, or an old one
        done = False
    if not done:
        aside = new.with_suffix('.old')
        old.rename(aside)
        new.rename(old)
        shutil.rmtree(aside)


# --- reading ---------------------------------------------------------------


def read_bank(folder: FilePath) -> Bank:
    """Reads a bank and checks all of it.

    Raises:
        InputError: for a file that is missing, truncated or altered, a bank
            of a newer format, and a field that is missing or wrong; it names
            the file, the field, its value and what would be legal.
    """
    folder = Path(folder)
    index = folder / INDEX
    if not folder.is_dir():
        raise InputError(f'bank {folder}: no such folder')
    if not index.is_file():
        raise InputError(f'bank {folder}: {INDEX} is missing')
    value = _Fields(read_json(index), str(index))
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
    return _Reader(folder, value).bank()


def _check_digest(index: Path, digest: str) -> None:
    content = index.read_bytes()
    if len(digest) != len(_BLANK) or digest != _digest(
            content.replace(digest.encode(), _BLANK.encode())):
        raise InputError(f'{index}: altered since it was written: its '
                         'checksum (sha256) does not fit; copy the bank anew, '
                         'or build it with tools/deployment/build_bank.py')


class _Fields:
    """A JSON object whose fields are checked as they are read.

    Args:
        value: the object.
        where: file, and path of the object in it.
    """

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise InputError(f'{where}: an object was expected, found '
                             f'{type(value).__name__}')
        self.value = value
        self.where = where

    def get(self, key: str, *kinds: type) -> Any:
        """A field of one of some types; ``float`` is any finite number."""
        if key not in self.value:
            raise InputError(f'{self.where}: field {key!r} is missing')
        found = self.value[key]
        for kind in kinds:
            if kind is float:
                if isinstance(found, (int, float)) and \
                        not isinstance(found, bool) and math.isfinite(found):
                    return float(found)
            elif isinstance(found, kind) and not (
                    kind is int and isinstance(found, bool)):
                return found
        names = {float: 'a finite number', int: 'an integer', str: 'a string',
                 dict: 'an object', list: 'a list', type(None): 'null'}
        raise self.wrong(key, ' or '.join(names[kind] for kind in kinds))

    def fields(self, key: str) -> '_Fields':
        """A field that is an object."""
        return _Fields(self.get(key, dict), f'{self.where}: {key}')

    def strings(self, key: str) -> Any:
        """A field that is an object of strings."""
        found = self.get(key, dict)
        if not all(isinstance(v, str) for v in found.values()):
            raise self.wrong(key, 'an object of strings')
        return found

    def wrong(self, key: str, legal: str) -> InputError:
        """The error for an illegal value."""
        shown = json.dumps(self.value[key])
        shown = shown if len(shown) <= 80 else shown[:77] + '...'
        return InputError(f'{self.where}: {key}={shown}; legal is {legal}')


class _Reader:
    """Reads what the fields of ``bank.json`` describe."""

    def __init__(self, folder: Path, value: _Fields) -> None:
        self.folder, self.value = folder, value

    def bank(self) -> Bank:
        value = self.value
        resources = value.strings('resources')
        rows = [self._row(value.fields(name), resources, name)
                for name in ('smallest', 'largest')]
        for i, row in enumerate(value.get('pools', list)):
            rows.insert(-1, self._row(
                _Fields(row, f'{value.where}: pools[{i}]'), resources))
        classes = value.get('classes', list, type(None))
        if classes is not None and \
                not all(isinstance(name, str) for name in classes):
            raise value.wrong('classes', 'a list of strings or null')
        preprocessing = value.fields('preprocessing')
        shape = preprocessing.get('input_shape', list)
        if len(shape) != 3 or not all(
                type(size) is int and size > 0 for size in shape):
            raise preprocessing.wrong('input_shape', '3 positive integers')
        model = dict(value.get('model', dict))
        normalisation = preprocessing.get('data_preprocessor', dict, type(None))
        if normalisation is not None:
            model['data_preprocessor'] = normalisation
        pipeline = preprocessing.get('pipeline', list)
        testing = value.get('testing', dict)
        check_types(model, pipeline, value.where)
        _check_names(testing, f'{value.where}: testing')
        tensors = {name: self._tensors(name) for name in FILES}
        samples = tensors[SAMPLES].get('images')
        if samples is None or samples.dim() != 4:
            raise InputError(f'{self.folder / SAMPLES}: holds no images '
                             '(N, C, H, W)')
        return Bank(
            model=model,
            classes=None if classes is None else tuple(classes),
            pipeline=pipeline,
            input_shape=tuple(shape),
            resources=resources,
            metric=value.get('metric', str),
            kept=tuple(kept for kept, _ in rows),
            weights=tensors[WEIGHTS],
            statistics=self._statistics(
                {kept.subnet: number for kept, number in rows},
                tensors[STATISTICS]),
            samples=samples,
            testing=testing,
            versions=value.strings('written_by'))

    def _row(self, row: _Fields, resources: Dict[str, str],
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
        tested = row.get('test_accuracy', float, type(None))
        return KeptSubnet(
            name=end or level_name(resource, level), subnet=subnet,
            costs={name: costs.get(name, float) for name in resources},
            held_out_accuracy=row.get('held_out_accuracy', float),
            test_accuracy=tested, resource=resource, level=level,
        ), row.get('statistics', int)

    def _tensors(self, name: str) -> Dict[str, Tensor]:
        """What a safetensors file holds, if its checksum fits."""
        path = self.folder / name
        wanted = self.value.fields('files').fields(name)
        size, digest = wanted.get('bytes', int), wanted.get('sha256', str)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise InputError(f'bank {self.folder}: {name} is missing'
                             ) from None
        except OSError as error:
            raise InputError(f'{path}: {error.strerror or error}') from None
        if len(content) != size:
            raise InputError(f'{path}: truncated or altered: {len(content)} '
                             f'bytes instead of {size}')
        if _digest(content) != digest:
            raise InputError(f'{path}: altered since it was written: its '
                             f'checksum (sha256) is {_digest(content)[:12]}... '
                             f'instead of {digest[:12]}...')
        try:
            return _safetensors().load(content)
        except Exception as error:  # safetensors has errors of its own
            raise InputError(f'{path}: not a safetensors file ({error})'
                             ) from None

    def _statistics(self, numbers: Dict[Subnet, int],
                    tensors: Dict[str, Tensor]) -> Dict[Subnet, Statistics]:
        found: Dict[int, Statistics] = {}
        for key, value in tensors.items():
            number, _, name = key.partition('.')
            if not number.isdigit() or value.dim() != 2 or \
                    value.shape[0] != 2 or not value.isfinite().all():
                raise InputError(f'{self.folder / STATISTICS}: {key} is not '
                                 'a finite mean and variance of shape (2, C)')
            found.setdefault(int(number), {})[name] = value[0], value[1]
        for subnet, number in numbers.items():
            # without any batch norm there is nothing for any subnet
            if tensors and number not in found:
                raise InputError(f'{self.value.where}: statistics={number} of '
                                 f'{subnet}; legal are {sorted(found)}')
        return {subnet: found.get(number, {})
                for subnet, number in numbers.items()}


def _check_names(config: Any, where: str) -> None:
    """Refuses keys that are no names: they are written into config files,
    which are programs."""
    if isinstance(config, dict):
        for key, value in config.items():
            if not re.fullmatch(r'[A-Za-z_]\w*', key):
                raise InputError(f'{where}: key {key!r} is not a name')
            _check_names(value, f'{where}.{key}')
    elif isinstance(config, list):
        for i, value in enumerate(config):
            _check_names(value, f'{where}[{i}]')


def _safetensors():
    """The package, which only banks need."""
    try:
        import safetensors.torch
    except ImportError:
        raise InputError('banks need safetensors: pip install safetensors'
                         ) from None
    return safetensors.torch
