"""Writing banks."""

from pathlib import Path
from typing import Any, Dict, List

import torch

from ..files import FilePath
from ..structures import Subnet
from . import bank_folder
from .bank import Bank, KeptSubnet
from .bank_folder import index_text, write_folder
from .bank_format import (
    FILES,
    FORMAT,
    INDEX,
    SAMPLES,
    STATISTICS,
    VERSION,
    WEIGHTS,
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
    safetensors()
    bank_folder.check_target(folder, FORMAT, {INDEX, *FILES}.__contains__)


def write_bank(bank: Bank, folder: FilePath, trust: Trust = ()) -> None:
    """Writes a bank atomically, see :func:`.write_folder`, and reads it back
    before it is kept.

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
    check_target(folder)
    check_types(bank.model, bank.pipeline, str(folder), check_trust(trust))
    order = list(dict.fromkeys(kept.subnet for kept in bank.kept))
    data = _tensor_files(bank, order)
    index = _index(bank, order, data)
    write_folder(folder, {
        **data, INDEX: index.encode()
    }, lambda written: read_bank(written, trust))


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
            standard_error=kept.standard_error,
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
        testing=bank.testing)
    return index_text(value, data)
