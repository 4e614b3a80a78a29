"""The index by which mmpretrain finds exported networks."""

import os
import re
from pathlib import Path
from typing import Any, Dict

from mmengine.logging import print_log

from ..checks import check_text, is_number, shown
from ..errors import InputError
from ..files import FilePath, json_text, read_json
from ..structures import Subnet
from .export_files import write_files

INDEX = 'model-index.yml'
COLLECTION = 'PSS-Net'


def write_model_index(folder: FilePath) -> Path:
    """Writes mmpretrain's index of the ``torch`` exports in a folder.

    After ``mmpretrain.apis.ModelHub.register_model_index(INDEX)`` the exports
    have names, such as ``pss_flops_60`` in ``inference_model(NAME, IMAGE)``.
    Records that are not of an export in the folder are left out; the log says
    which and why.

    Returns:
        The index's path, ``model-index.yml``.

    Raises:
        InputError: if there is an index that this function did not write, or it
            cannot be written.
    """
    folder = Path(folder)
    check_text('the folder of the index', str(folder), 4096)
    check_index(folder / INDEX)
    models = []
    for path in sorted(folder.glob('*.pth.json')):
        try:
            models.append(_index_entry(path))
        except InputError as error:
            print_log(f'left out of {folder / INDEX}: {error}', 'current')
    # JSON is YAML, except for characters that JSON writes as two escapes
    text = json_text(
        dict(Collections=[dict(Name=COLLECTION)], Models=models),
        ensure_ascii=False)
    write_files({folder / INDEX: text.encode()})
    return folder / INDEX


def check_index(path: Path) -> None:
    """Refuses to overwrite an index that :func:`write_model_index` did not
    write.

    Raises:
        InputError: it names the file.
    """
    if not os.path.lexists(path):
        return
    try:
        value = read_json(path) if path.is_file() else None
    except InputError:
        value = None
    if not isinstance(value, dict) or \
            value.get('Collections') != [dict(Name=COLLECTION)]:
        raise InputError(f'{path}: not written by this command; expected none, '
                         'or one to replace')


def _index_entry(path: Path) -> Dict[str, Any]:
    """An export's entry in the index.

    Args:
        path: of the export's record.

    Raises:
        InputError: if it is not such a record, or a file of the network is
            missing.
    """
    stem = path.name[:-len('.pth.json')]
    where = shown(path.name)
    if path.is_symlink() or not path.is_file() or not re.fullmatch(
            r'\w+', stem):
        raise InputError(f'{where}: expected the record of an export')
    try:
        record = read_json(path)
        if not isinstance(record, dict) or record.get('file') != f'{stem}.pth':
            raise InputError(f'expected the record of {stem}.pth')
        check_text('name', record.get('name'))
        metric = check_text('metric', record.get('metric'))
        accuracy = record.get('test_accuracy')
        if accuracy is not None and not is_number(accuracy):
            raise InputError(f'test_accuracy={shown(accuracy)}: expected a '
                             'finite number or null')
        subnet: Any = record.get('subnet')
        Subnet.from_dict(subnet)
    except InputError as error:
        raise InputError(f'{where}: {error}') from None
    for name in (f'{stem}.py', f'{stem}.pth'):
        if not path.with_name(name).is_file():
            raise InputError(f'{where}: {name} is missing beside it')
    return {
        'Name':
        f'pss_{stem}',
        'In Collection':
        COLLECTION,
        'Config':
        f'{stem}.py',
        'Weights':
        str(path.with_name(f'{stem}.pth')),
        'Results': [{
            'Task': 'Image Classification',
            'Dataset': None,
            'Metrics': {
                metric: accuracy
            }
        }]
    }
