"""Converts a latency table in the published PSS-Net layout into ours.

The published tables are pickles. Nothing in the file is executed: the only name
resolved is ``__main__.BlockCfg``, a tuple of eight numbers and strings.
"""

import argparse
import io
import pickle
import pickletools
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help='the published SRC.pkl')
    parser.add_argument('--out', required=True, help='JSON file to write')
    parser.add_argument(
        '--device',
        choices=['cpu', 'cuda'],
        default=None,
        help='what the table was measured on; the file does not say')
    parser.add_argument(
        '--batch-size',
        type=int,
        default=None,
        help='images at a time; the file does not say')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from pss.checks import check_choice, is_integer, is_number, shown
from pss.cli import check_integers, run
from pss.errors import InputError
from pss.files import read_regular
from pss.outputs import check_out
from pss.pickles import check_operations
from pss.resources import BlockKey, LatencyTable, Timing
from pss.resources.latency import VERSION

# their block types, and our networks that consist of them
NETWORKS = {
    'MBV1Block': 'SlimmableMobileNetV1',
    'MBV2Block': 'SlimmableMobileNetV2'
}
BLOCK_TYPES = ('Conv2d', 'Linear', *NETWORKS)


class BlockCfg(NamedTuple):
    """A key of a published table."""
    block_type: str
    in_size: int
    cin: int
    cout: int
    cmid: Optional[int]
    kernel_size: Optional[int]
    stride: Optional[int]
    padding: Optional[int]


class TableUnpickler(pickle.Unpickler):
    """Reads containers, numbers, strings and ``BlockCfg``, but nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Resolves the one name that a table may refer to."""
        if (module, name) == ('__main__', 'BlockCfg'):
            return BlockCfg
        raise pickle.UnpicklingError(f'it refers to {module}.{name}')


def read_pickle(path: str) -> Dict[Any, Any]:
    """Reads a published table.

    Raises:
        InputError: if the file does not exist, is damaged, or refers to
            anything but ``__main__.BlockCfg``.
    """
    content = read_regular(path)
    try:
        _check_operations(content)
        table = TableUnpickler(io.BytesIO(content)).load()
    except pickle.UnpicklingError as error:
        raise InputError(f'{path}: not a published latency table ({error}); '
                         'nothing of it was executed') from None
    except Exception as error:  # a bad pickle can raise anything
        raise InputError(
            f'{path}: damaged ({type(error).__name__}: {error})') from None
    if not isinstance(table, dict) or not table:
        raise InputError(f'{path}: expected a dict of blocks, found '
                         f'{type(table).__name__}')
    return table


def _check_operations(content: bytes) -> None:
    """Refuses operations that tables do not need: those that could change the
    class ``BlockCfg``, and those of :func:`.check_operations`.

    Raises:
        UnpicklingError: for these.
    """
    check_operations(content, len(content))
    for operation, _, _ in pickletools.genops(content):
        if operation.name == 'BUILD':
            raise pickle.UnpicklingError('it changes objects')


def our_key(theirs: Any) -> BlockKey:
    """Converts a block's key into one of our tables.

    Raises:
        InputError: names the field that is wrong.
    """
    if not isinstance(theirs, BlockCfg):
        raise InputError(f'key {shown(theirs)} is not a BlockCfg')
    check_choice('block_type', theirs.block_type, BLOCK_TYPES)
    for name, value in theirs._asdict().items():
        optional = name not in ('block_type', 'in_size', 'cin', 'cout')
        if name != 'block_type' and not is_integer(value) and not (
                value is None and optional):
            raise InputError(f'{name}={shown(value)} of {theirs.block_type} is '
                             'not an integer')
    # MobileNetV2 has a shortcut if stride and channels change nothing
    shortcut = 'identity' if theirs.block_type == 'MBV2Block' and \
        theirs.stride == 1 and theirs.cin == theirs.cout else None
    return BlockKey(theirs.block_type, theirs.in_size, theirs.cin, theirs.cmid,
                    theirs.cout, theirs.kernel_size, theirs.stride, shortcut)


def convert(table: Dict[Any, Any], where: str, device: Optional[str],
            batch_size: Optional[int]) -> LatencyTable:
    """Converts a table.

    Raises:
        InputError: names the block that is wrong.
    """
    timings: Dict[BlockKey, Timing] = {}
    for theirs, time in table.items():
        key = our_key_of(theirs, where)
        if not is_number(time) or time <= 0:
            raise InputError(f'{where}: block {shown(key)}: {shown(time)} is '
                             'not a finite number of microseconds above 0')
        timings[key] = Timing(float(time))
    kinds = Counter(key.block_type for key in timings)
    networks = [NETWORKS[kind] for kind in kinds if kind in NETWORKS]
    if len(networks) != 1:
        raise InputError(f'{where}: expected blocks of one network, found '
                         f'{networks}')
    header = dict(
        version=VERSION,
        unit='microseconds',
        network=dict(type=networks[0]),
        device=device,
        device_name=None,
        backend=None,
        threads=None,
        batch_size=batch_size,
        dtype=None,
        memory_format=None,
        versions={},
        source=Path(where).name,
        date=datetime.now().astimezone().isoformat(timespec='seconds'),
        scale=1.,
        interpolation=None,
        verification=None)
    return LatencyTable(header, timings)


def our_key_of(theirs: Any, where: str) -> BlockKey:
    """:func:`our_key`, naming the file in errors."""
    try:
        return our_key(theirs)
    except InputError as error:
        raise InputError(f'{where}: {error}') from None


def main(args):
    check_integers(args, batch_size=1)
    check_out(args.out, [args.src])
    table = convert(
        read_pickle(args.src), args.src, args.device, args.batch_size)
    table.write(args.out)
    kinds = Counter(key.block_type for key in table.timings)
    print(f'{len(table.timings)} blocks of {table.header["network"]["type"]} '
          f'({", ".join(f"{n} {kind}" for kind, n in kinds.items())}): '
          f'{args.out}')


if __name__ == '__main__':
    run(main, args)
