"""Writing banks."""

import ctypes
import os
import shutil
from pathlib import Path
from typing import Any, Dict, List

import torch

from ..errors import InputError
from ..files import FilePath, json_text, read_json, system_errors
from ..structures import Subnet
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
from .bank_reading import read_bank
from .vocabularies import Trust, check_trust, check_types


def check_target(folder: FilePath) -> None:
    """Checks that a bank can be written to a folder.

    Raises:
        InputError: if the folder holds anything but a bank, or safetensors is
            not installed.
    """
    folder = Path(folder)
    safetensors()
    if not os.path.lexists(folder):
        return
    expected = 'expected a new folder, an empty one, or a bank to replace'
    if not folder.is_dir():
        raise InputError(f'{folder}: not a folder; {expected}')
    others = sorted(
        path.name for path in folder.iterdir()
        if path.name not in (INDEX,
                             *FILES) or path.is_symlink() or not path.is_file())
    if others:
        raise InputError(
            f'{folder}: holds something other than a bank ({others[0]!r}'
            f'{", ..." if others[1:] else ""}), which would be lost; '
            f'{expected}')
    if any(folder.iterdir()):
        index = read_json(folder / INDEX)
        if not isinstance(index, dict) or index.get('format') != FORMAT:
            raise InputError(f'{folder / INDEX}: not the index of a bank; '
                             f'{expected}')


def write_bank(bank: Bank, folder: FilePath, trust: Trust = ()) -> None:
    """Writes a bank atomically: readers see the old one or the complete new
    one.

    It is written under a temporary name and read back. It then takes the place
    of a bank that is already there: in one step if the file system can exchange
    folders (Linux), else in two renames.

    Args:
        bank: the bank.
        folder: the target; a link to a folder is followed.
        trust: packages whose registered classes it may name; readers have to
            trust them as well.

    Raises:
        InputError: if it cannot be written, holds what :func:`.read_bank`
            refuses, or ``folder`` holds anything but a bank.
    """
    folder = Path(folder)
    if folder.is_symlink():
        folder = folder.resolve()
    check_target(folder)
    check_types(bank.model, bank.pipeline, str(folder), check_trust(trust))
    order = list(dict.fromkeys(kept.subnet for kept in bank.kept))
    data = _tensor_files(bank, order)
    index = _index(bank, order, data)
    temporary = folder.with_name(f'{folder.name}.{os.getpid()}.tmp')
    try:
        with system_errors(f'{folder}: cannot be written'):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            for name, content in {**data, INDEX: index.encode()}.items():
                with open(temporary / name, 'wb') as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            _read_back(temporary, folder, trust)
            _exchange(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _tensor_files(bank: Bank, order: List[Subnet]) -> Dict[str, bytes]:
    """The contents of the safetensors files, by name; the statistics are
    numbered in the order of the subnets."""
    save = safetensors().save
    return {
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


def _read_back(written: Path, folder: Path, trust: Trust) -> None:
    """Refuses to keep a bank that cannot be read again."""
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
            name: dict(bytes=len(content), sha256=digest(content))
            for name, content in data.items()
        },
        sha256=BLANK)
    try:
        text = json_text(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            'the config cannot be kept in a bank: it holds more '
            f'than numbers, text, lists and dicts ({error})') from None
    return digest(text.encode()).join(text.rsplit(BLANK, 1))


def _exchange(new: Path, old: Path) -> None:
    """Renames ``new`` to ``old``; what had that name is removed, or left under
    the name ``new``."""
    if not old.exists():
        new.rename(old)
        return
    at_cwd, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        done = ctypes.CDLL(None).renameat2(at_cwd, os.fsencode(new), at_cwd,
                                           os.fsencode(old), exchange) == 0
    except (OSError, AttributeError, TypeError):  # not Linux, or an old one
        done = False
    if not done:
        aside = new.with_suffix('.old')
        old.rename(aside)
        new.rename(old)
        shutil.rmtree(aside)
