"""Reading device banks.

A device bank is a folder::

    bank.json      what is in it: costs, accuracies, classes, preprocessing
    weights.bin    the weights of all subnets, once
    NAME.onnx      the graph of a subnet, which takes its weights from there

``bank.json`` has the size and the checksum of every other file, and a checksum
of itself. Reading a device bank runs nothing in it.
"""

import errno
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple, Union

from .errors import InputError, number, shown

FORMAT, VERSION = 'pss-device-bank', 1
INDEX, LARGEST_INDEX = 'bank.json', 1 << 26  # bytes
BLANK = 64 * '0'  # stands for the index's own checksum while that is computed


class Subnet(NamedTuple):
    """A resolution in pixels, and a width for each group of layers."""
    resolution: int
    widths: Tuple[int, ...]


@dataclass(frozen=True)
class KeptSubnet:
    """A subnet of a device bank.

    Attributes:
        name: its pool's, such as ``flops 150``; or ``largest``, ``smallest``.
        subnet: its resolution and widths.
        costs: in every resource, in the resource's unit.
        held_out_accuracy: on images held out from the training set, by which it
            was chosen; in percent if the bank's metric is.
        standard_error: of that accuracy; ``None`` if it is not known.
        test_accuracy: on the test images; ``None`` if it was not tested.
        file: the name of its graph.
        resource, level: its pool's, ``None`` for the ends of the space.
    """
    name: str
    subnet: Subnet
    costs: Mapping[str, float] = field(hash=False)
    held_out_accuracy: float
    standard_error: Optional[float]
    test_accuracy: Optional[float]
    file: str
    resource: Optional[str] = None
    level: Optional[float] = None


@dataclass(frozen=True)
class DeviceBank:
    """The contents of a device bank.

    Attributes:
        folder: where it is.
        task: ``classification``; or ``features``, of a detector's backbone.
        scores: what makes scores of logits: ``softmax`` or ``sigmoid``.
        classes: their names, or ``None``.
        preprocessing: see :class:`~pss.runtime.preprocessing.Preprocessing`.
        input_shape: channels, height, width.
        resources: the unit of every resource.
        metric: what the accuracies are.
        kept: the subnets, smallest first.
    """
    folder: Path
    task: str
    scores: str
    classes: Optional[Tuple[str, ...]]
    preprocessing: Dict[str, Any]
    input_shape: Tuple[int, ...]
    resources: Dict[str, str]
    metric: str
    kept: Tuple[KeptSubnet, ...]


def read_device_bank(folder: Union[str, Path]) -> DeviceBank:
    """Reads a device bank, and verifies the checksums of all of its files.

    Raises:
        InputError: for a file that is missing, truncated or altered, for a
            newer format, and for another kind of file.
    """
    index = Path(folder) / INDEX
    value = _parsed(index, _content(index, LARGEST_INDEX))
    try:
        # with_name() refuses what is not a plain name
        files = {
            index.with_name(name): (file['bytes'], file['sha256'])
            for name, file in value['files'].items()
        }
        bank = DeviceBank(
            folder=Path(folder),
            task=value['task'],
            scores=value['scores'],
            classes=value['classes'] and tuple(value['classes']),
            preprocessing=value['preprocessing'],
            input_shape=tuple(value['input_shape']),
            resources=value['resources'],
            metric=value['metric'],
            kept=tuple(map(_kept, value['subnets'])))
        _check(bank, value['files'])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        # its checksum is right, so whoever wrote it meant another format
        raise InputError(f'{index}: not as export_bank.py writes it '
                         f'({type(error).__name__}: {error})') from None
    for path, (size, digest) in files.items():
        _verify(path, size, str(digest))
    return bank


def _content(path: Path, most: int) -> bytes:
    """The bytes of a regular file, one more than allowed at most."""
    try:
        # opening a named pipe would wait for ever
        with open(path, 'rb') if path.is_file() else _missing() as file:
            return file.read(most + 1)
    except OSError as error:
        raise InputError(f'device bank {path.parent}: {path.name} cannot be '
                         f'read ({error.strerror})') from None


def _missing() -> Any:
    raise OSError(errno.ENOENT, 'no such file')


def _parsed(index: Path, content: bytes) -> Dict[str, Any]:
    """The index's fields, after verifying its format and checksum."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f'{index}: truncated or altered: not JSON '
                         f'({error})') from None
    found = value if isinstance(value, dict) else {}
    if found.get('format') != FORMAT:
        raise InputError(f'{index}: format={shown(found.get("format"))}: '
                         f'expected {FORMAT!r}, as export_bank.py writes it')
    if found.get('version') != VERSION:
        raise InputError(f'{index}: version={shown(found.get("version"))}: '
                         f'expected {VERSION}; a newer one needs a newer '
                         'pss-runtime')
    # its own checksum is the last one in it
    digest = str(found.get('sha256') or None)
    blank = BLANK.encode().join(
        content.rsplit(digest.encode(errors='replace'), 1))
    if hashlib.sha256(blank).hexdigest() != digest:
        raise InputError(f'{index}: altered since it was written: its checksum '
                         'does not fit; copy the device bank again')
    return found


def _verify(path: Path, size: int, digest: str) -> None:
    content = _content(path, size)
    if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
        raise InputError(
            f'{path}: truncated or altered: {len(content)} bytes, expected '
            f'{size} with the checksum {digest:.12}...; copy the device bank '
            'again')


def _check(bank: DeviceBank, files: Mapping[str, Any]) -> None:
    """Checks what selection and sessions take from a device bank.

    Raises:
        ValueError: for a field that is not as it should be.
    """
    if not bank.kept:
        raise ValueError('there is no subnet')
    for kept in bank.kept:
        if kept.file not in files:
            raise ValueError(f'file={shown(kept.file)}: not one of its files')
        for name, value in (('held_out_accuracy', kept.held_out_accuracy),
                            *((key, kept.costs[key])
                              for key in bank.resources)):
            number(f'{kept.name}: {name}', value)


def _kept(row: Dict[str, Any]) -> KeptSubnet:
    row = dict(row)
    subnet = Subnet(row.pop('resolution'), tuple(row.pop('widths')))
    return KeptSubnet(subnet=subnet, **row)
