"""The files of exported networks: all of a network's are written, or none."""

import io
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Sequence

import torch

from ..errors import InputError
from ..files import FilePath, read_json, whole_file


def checkpoint_bytes(checkpoint: Dict[str, Any]) -> bytes:
    """The content of a checkpoint's file, for :func:`write_files`.

    On a full disk PyTorch's own writer would leave an incomplete file, and
    TorchScript's would end the process.
    """
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getvalue()


def write_files(files: Mapping[Path, bytes]) -> None:
    """Writes all of several files, or none.

    Args:
        files: their contents. The first one gets its name last.

    Raises:
        InputError: if one cannot be written.
    """
    for path in files:
        if path.is_dir():
            raise InputError(f'{path}: cannot be written (a folder has that '
                             'name)')
    with ExitStack() as stack:
        for path, content in files.items():
            stack.enter_context(whole_file(path)).write_bytes(content)


def record_path(path: Path) -> Path:
    """The JSON file beside a network's, such as ``NAME.onnx.json``."""
    return path.with_name(f'{path.name}.json')


def check_targets(targets: Iterable[FilePath],
                  inputs: Iterable[FilePath]) -> None:
    """Refuses to overwrite what is read.

    Args:
        targets: files or folders to write.
        inputs: files or folders that are read; nothing may be written into
            such a folder either.

    Raises:
        InputError: it names the target.
    """
    read = {os.path.realpath(path) for path in inputs}
    for target in targets:
        path = Path(os.path.realpath(target))
        if any(str(part) in read for part in (path, *path.parents)):
            raise InputError(f'{target}: is read by the same command; expected '
                             'another name')


def check_replaceable(out: Path, targets: Sequence[Path]) -> None:
    """Refuses to overwrite files without the record of an earlier export.

    Args:
        out: the file of the network.
        targets: every file that is to be written.

    Raises:
        InputError: it names the file.
    """
    there = [path for path in targets if path.is_symlink() or path.is_file()]
    if not there:
        return
    try:
        record = read_json(record_path(out))
    except InputError:
        record = None
    if not isinstance(record, dict) or record.get('file') != out.name or \
            'subnet' not in record:
        raise InputError(f'{there[0]}: exists, and no export wrote it; '
                         'expected another --out')
