"""Fields of a config that follow from its data: ``None`` until they are filled.

====================================================  =========================
``model.head.num_classes``,                           the number of classes
``data_preprocessor.num_classes``
``model.backbone.search_space.resolutions``           the images' sizes
``model.backbone.strides`` of MobileNetV2             the largest resolution
``scale``, ``crop_size`` of steps in pipelines        the largest resolution
``T_max`` of a scheduler by epoch                     ``train_cfg.max_epochs``
``data_root`` and the split of a ``FolderDataset``    ``data_root``, ``data``
====================================================  =========================

A field that has a value keeps it. The config that a run writes into its work
directory has all values, so that tools need the data only to load images.
"""

import copy
from pathlib import Path
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Set,
)

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ..checks import check_boolean, check_choice, check_keys, shown
from ..datasets import SharedLists, build_dataset, list_folder
from ..errors import InputError
from ..files import FilePath
from .image_sizes import (
    SMALL,
    STRIDES_OF_SMALL,
    largest_of,
    resolutions_for,
    typical_side,
)
from .sections import check_dict

FOLDER = 'pss.FolderDataset'
SPLIT = ('held_out', 'test', 'seed', 'skipped', 'digest')
CHECKS = ('headers', 'decode')

_LOADING = ('train_dataloader', 'val_dataloader', 'test_dataloader', 'val_cfg',
            'test_cfg')
_SIZES = 500  # images whose headers are read, evenly spaced
# steps whose field is the largest resolution
_CROPS = dict(RandomResizedCrop='scale', CenterCrop='crop_size')


class _Data(NamedTuple):
    """What fields follow from: the number of classes, in words what has that
    number, and up to 500 images."""
    num_classes: int
    what: str
    images: Sequence[FilePath]


def folder_datasets(cfg: Config) -> List[Dict[str, Any]]:
    """The configs of all parts of folders that a config's loaders read."""
    return [
        part for part in _dicts([cfg.get(field) for field in _LOADING])
        if part.get('type') == FOLDER
    ]


def needs_data(cfg: Config) -> bool:
    """Whether the model of a config follows from its data."""
    model = cfg.get('model') or {}
    return any('num_classes' in part and part['num_classes'] is None
               or 'resolutions' in part and part['resolutions'] is None
               for part in _dicts([model.get('head'),
                                   model.get('backbone')]))


def fill_from_data(cfg: Config) -> None:
    """Fills in the fields of a config that follow from its data, in place.

    Only names of files are read, and the headers of 500 images.

    Raises:
        InputError: if there is no data that the fields could follow from, or
            if ``model.head.num_classes`` is given and a folder has another
            number of classes.
    """
    _fill_schedule(cfg)
    folders = folder_datasets(cfg)
    if folders:
        _fill_folders(cfg, folders)
    elif not needs_data(cfg):
        return
    if folders:
        data = _of_folder(folders[0]['data_root'])
    else:
        with SharedLists().sharing():
            data = _of_dataset(cfg)
    _fill_classes(cfg, data)
    _fill_sizes(cfg, data.images)


def listed_images(cfg: Config) -> List[str]:
    """The image files of all data of a config, sorted; none for data that is
    not in files of its own.

    Raises:
        InputError: if annotations cannot be read.
    """
    found: Set[str] = set()
    with SharedLists().sharing():
        for config in _datasets(cfg):
            dataset = _without_pipeline(cfg, config)
            infos = map(dataset.get_data_info, range(len(dataset)))
            found.update(info['img_path'] for info in infos
                         if 'img_path' in info)
    return sorted(found)


def _fill_schedule(cfg: Config) -> None:
    """A cosine that ends with the training."""
    epochs = (cfg.get('train_cfg') or {}).get('max_epochs')
    for scheduler in _dicts(cfg.get('param_scheduler')):
        if scheduler.get('T_max', 0) is None and scheduler.get('by_epoch'):
            scheduler['T_max'] = epochs


def _fill_folders(cfg: Config, folders: List[Dict[str, Any]]) -> None:
    """The arguments that all parts of a folder have in common."""
    section = cfg.get('data')
    if section is None:
        return
    check_dict('data', section)
    check_keys(section, (*SPLIT, 'skip_broken', 'check'), 'data')
    check_boolean('data.skip_broken', section.get('skip_broken', False))
    check_choice('data.check', section.get('check', 'headers'), CHECKS)
    if cfg.get('data_root') is None:
        raise InputError(
            'data_root=None: expected a folder with one folder of images for '
            'each class; give it with --cfg-options data_root=MY_FOLDER')
    for part in folders:
        part['data_root'] = cfg.data_root
        part.update({key: section[key] for key in SPLIT if key in section})


def _fill_classes(cfg: Config, data: _Data) -> None:
    num = data.num_classes
    model = cfg.get('model') or {}
    head = model.get('head')
    if isinstance(head, dict) and 'num_classes' in head:
        if head['num_classes'] is None:
            head['num_classes'] = num
        elif head['num_classes'] != num:
            raise InputError(
                f'model.head.num_classes={shown(head["num_classes"])}: '
                f'expected {num}, the number of {data.what}')
    for images in (model.get('data_preprocessor'),
                   cfg.get('data_preprocessor')):
        if isinstance(images, dict) and images.get('num_classes', 0) is None:
            images['num_classes'] = num


def _fill_sizes(cfg: Config, images: Sequence[FilePath]) -> None:
    """Resolutions from the images' sizes, and what follows from them."""
    backbone = (cfg.get('model') or {}).get('backbone') or {}
    space = backbone.get('search_space')
    if not isinstance(space, dict) or 'resolutions' not in space:
        return
    side: Optional[int] = None
    if space['resolutions'] is None:
        side = typical_side(images)
        space['resolutions'] = resolutions_for(side)
    largest = largest_of(space['resolutions'])
    if largest is None:  # the backbone refuses it
        return
    if str(backbone.get('type')).endswith('SlimmableMobileNetV2') and \
            backbone.get('strides', 0) is None and largest < SMALL:
        backbone['strides'] = list(STRIDES_OF_SMALL)
    for step in _dicts([cfg.get(field) for field in _LOADING]):
        kind = str(step.get('type')).rpartition('.')[2]
        field = _CROPS.get(kind)
        if field is not None and step.get(field, 0) is None:
            step[field] = largest
        elif kind == 'ResizeEdge' and step.get('scale', 0) is None:
            # as 256 for 224, but not larger than images are
            side = side or typical_side(images)
            step['scale'] = max(largest, min(round(largest * 8 / 7), side))


def _some(num: int) -> List[int]:
    """Up to 500 evenly spaced positions."""
    return np.linspace(0, num - 1, min(num, _SIZES)).astype(int).tolist()


def _of_folder(data_root: str) -> _Data:
    listing = list_folder(data_root)
    images = listing.images['train']
    if not images:
        raise InputError(f'data_root={data_root!r}: its class folders have no '
                         'image; expected some in each')
    root = Path(data_root).expanduser()
    return _Data(
        len(listing.classes), f'class folders in {data_root}',
        [root / images[i][0] for i in _some(len(images))])


def _of_dataset(cfg: Config) -> _Data:
    configs = _datasets(cfg)
    if not configs:
        raise InputError('model.head.num_classes=None: expected a number, '
                         'since the config has no data to count classes in')
    first = _without_pipeline(cfg, configs[0])
    infos = map(first.get_data_info, _some(len(first)))
    images = [info['img_path'] for info in infos if info.get('img_path')]
    kind = type(first).__name__
    classes = getattr(first, 'metainfo', {}).get('classes')
    if classes is not None:
        return _Data(len(classes), f'classes of {kind}', images)
    largest = -1
    for config in configs:
        dataset = _without_pipeline(cfg, config)
        for i in range(len(dataset)):
            label = dataset.get_data_info(i).get('gt_label')
            largest = int(np.max(label, initial=largest)) \
                if label is not None else largest
    if largest < 0:
        raise InputError('model.head.num_classes=None: expected a number, '
                         f'since {kind} has neither classes nor labels')
    return _Data(largest + 1, f'labels of {kind}, from 0', images)


def _without_pipeline(cfg: Config, dataset: Dict[str, Any]) -> Any:
    """Builds a dataset that only has its annotations."""
    dataset = copy.deepcopy(dataset)
    for part in _dicts(dataset):
        if 'pipeline' in part:
            part['pipeline'] = []
    scope = cfg.get('default_scope', 'mmpretrain')
    with DefaultScope.overwrite_default_scope(scope):
        return build_dataset(dataset)


def _datasets(cfg: Config) -> List[Dict[str, Any]]:
    """The configs of all data, training images first."""
    testing = cfg.get('test_cfg') or {}
    loaders = (cfg.get('train_dataloader'),
               testing.get('calibration_dataloader'),
               testing.get('selection_dataloader'), cfg.get('val_dataloader'),
               cfg.get('test_dataloader'))
    return [
        loader['dataset'] for loader in loaders
        if isinstance(loader, dict) and isinstance(loader.get('dataset'), dict)
    ]


def _dicts(part: Any) -> Iterator[Dict[str, Any]]:
    """All dicts in a part of a config, at any depth."""
    if isinstance(part, (list, tuple)):
        for value in part:
            yield from _dicts(value)
    elif isinstance(part, dict):
        yield part
        for value in list(part.values()):
            yield from _dicts(value)
