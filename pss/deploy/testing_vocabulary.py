"""What a bank may say about how its networks are tested.

The dataloader and the evaluator go into the config of an exported network,
and a Runner builds what stands there. Datasets on the list read images, and
lists of them in text, JSON or XML; metrics compute. Left out is whatever
unpickles files (CIFAR, Coco's proposals), reads ``.mat`` files, fetches or
writes: MMEngine itself takes a ``metainfo`` that is a text for the path of a
file, a path with ``://`` for an address, and the ending of an annotation file
for the way to read it.
"""

from importlib.util import find_spec
from typing import Any, Callable, Dict, List, Mapping, Tuple

from mmengine.registry import FUNCTIONS
from mmpretrain.registry import DATA_SAMPLERS, DATASETS, METRICS

from ..checks import check_text, shown
from ..errors import InputError
from .classifier_vocabulary import CLASSES, check_pipeline, inference_steps
from .vocabulary import (
    Check,
    Entry,
    Family,
    Trust,
    boolean,
    choice,
    either,
    integer,
    list_of,
    mapping,
    nothing,
    number,
    optional,
    text,
)

# (pipeline, where, trust)
PipelineCheck = Callable[[Any, str, Trust], None]


def path(*endings: str) -> Check:
    """A path on this machine, or nothing; with one of several endings, if any
    are named."""

    def check_path(where: str, value: Any, trust: Trust) -> None:
        check_text(where, value, 1000)
        if any(word in value for word in ('://', '{{', '}}')):
            raise InputError(f'{where}={shown(value)}: expected the path of a '
                             'file or a folder, no address and no template')
        if endings and value and not value.endswith(endings):
            raise InputError(f'{where}={shown(value)}: expected a path that '
                             f'ends in {" or ".join(endings)}')

    return check_path


NAMES = list_of(text(200))
PATH = path()
LISTS = path('.txt', '.json')
SPLITS = ('train', 'val', 'trainval', 'test')

# what MMEngine's BaseDataset takes; a pipeline is checked on its own
_COMMON: Dict[str, Check] = dict(
    data_root=PATH,
    metainfo=optional(mapping(dict(classes=NAMES))),
    indices=optional(either(list_of(integer()), integer())),
    filter_cfg=nothing,
    serialize_data=boolean,
    lazy_init=boolean,
    max_refetch=integer(0, 1_000_000))
_CLASSIFIED = dict(_COMMON, classes=optional(NAMES))
_FOLDERS = either(mapping(dict(img_path=PATH), ['img_path']), PATH)
_CUSTOM = dict(
    _CLASSIFIED,
    data_prefix=_FOLDERS,
    ann_file=LISTS,
    with_label=boolean,
    extensions=list_of(text(20), 1, 100),
    test_mode=boolean)


def _laid_out(*splits: str, **keys: Check) -> Entry:
    """A data set whose own class knows where its lists are."""
    return Entry(
        dict(_CLASSIFIED, split=choice(*splits), **keys), ['data_root'])


_DIGITS = Entry(
    dict(
        _CLASSIFIED,
        data_prefix=PATH,
        split=choice('train', 'test'),
        test_mode=boolean,
        download=choice(False)),
    ['data_root', 'download'])  # it downloads unless told not to
CLASSIFIED = Family(
    DATASETS, 'mmpretrain', {
        'FashionMNIST':
        _DIGITS,
        'MNIST':
        _DIGITS,
        'ImageNet':
        Entry(dict(_CUSTOM, split=choice('', 'train', 'val', 'test'))),
        'ImageNet21k':
        Entry(dict(_CUSTOM, split=choice('', 'train'))),
        'CustomDataset':
        Entry(_CUSTOM),
        'Places205':
        Entry(_CUSTOM),
        'CUB':
        _laid_out('train', 'test', test_mode=boolean),
        'Caltech101':
        _laid_out('train', 'test'),
        'FGVCAircraft':
        _laid_out(*SPLITS),
        'Food101':
        _laid_out('train', 'test'),
        'OxfordIIITPet':
        _laid_out('trainval', 'test'),
        'SUN397':
        _laid_out('train', 'test'),
        'MultiLabelDataset':
        Entry(
            dict(
                _CLASSIFIED,
                data_prefix=_FOLDERS,
                ann_file=path('.json'),
                test_mode=boolean), ['ann_file']),
        'VOC':
        _laid_out(
            *SPLITS,
            image_set_path=path('.txt'),
            test_mode=boolean,
            data_prefix=either(
                mapping(dict(img_path=PATH, ann_path=PATH), ['img_path']),
                PATH)),
    })

_METRIC = dict(collect_device=choice('cpu', 'gpu'), prefix=optional(text(100)))
_TOPK = either(list_of(integer(1), 1, 100), integer(1))
_THRESHOLDS = either(list_of(optional(number()), 1, 100), optional(number()))
_AVERAGE = choice('macro', 'micro', None)
_ITEMS = list_of(choice('precision', 'recall', 'f1-score', 'support'), 1, 4)
_SEVERAL = dict(
    _METRIC,
    thr=optional(number()),
    topk=optional(integer(1)),
    items=_ITEMS,
    average=_AVERAGE)
_PRECISION = dict(_METRIC, average=choice('macro', None))
_DIFFICULT = dict(difficult_as_positive=optional(boolean))
CLASSIFIED_METRICS = Family(
    METRICS, 'mmpretrain', {
        'pss.SubnetAccuracy':
        Entry(dict(_METRIC, topk=list_of(integer(1), 1, 100))),
        'Accuracy':
        Entry(dict(_METRIC, topk=_TOPK, thrs=_THRESHOLDS)),
        'SingleLabelMetric':
        Entry(
            dict(
                _METRIC,
                thrs=_THRESHOLDS,
                items=_ITEMS,
                average=_AVERAGE,
                num_classes=optional(CLASSES))),
        'MultiLabelMetric':
        Entry(_SEVERAL),
        'AveragePrecision':
        Entry(_PRECISION),
        'VOCMultiLabelMetric':
        Entry(dict(_SEVERAL, **_DIFFICULT)),
        'VOCAveragePrecision':
        Entry(dict(_PRECISION, **_DIFFICULT)),
    })

SAMPLERS = Family(
    DATA_SAMPLERS, 'mmpretrain', {
        'DefaultSampler':
        Entry(
            dict(
                shuffle=boolean,
                round_up=boolean,
                seed=optional(integer(0, 2**63 - 1)))),
    })
# MMEngine imports and calls what a config names here
COLLATING = Family(FUNCTIONS, 'mmengine', {
    'default_collate': Entry(),
    'pseudo_collate': Entry()
})

# what mmpretrain's PackInputs keeps of an image by default, and what its
# metrics for VOC need besides
_KEPT = ('sample_idx', 'img_path', 'ori_shape', 'img_shape', 'scale_factor',
         'flip', 'flip_direction')
_KEPT_FOR_VOC = 'gt_label_difficult'


def check_testing(testing: Any, where: str, trust: Trust = ()) -> None:
    """Checks the configs that exported networks are tested with.

    Args:
        testing: the ``dataloader`` and the ``evaluator``; empty where there
            are none. That of a detector is known by its dataset.
        where: they stand, for the message.
        trust: packages whose registered classes are allowed besides.

    Raises:
        InputError: it names the field, its value and what was expected; and
            if they are a detector's and MMDetection is not installed.
    """
    where = f'{where}: testing'
    if isinstance(testing, dict) and not testing:
        return
    loader = testing.get('dataloader') if isinstance(testing, dict) else None
    dataset = loader.get('dataset') if isinstance(loader, dict) else None
    datasets, metrics, check_steps = _detection(where) \
        if _is_detection(dataset) else \
        (CLASSIFIED, CLASSIFIED_METRICS, _check_steps)
    mapping(
        dict(
            dataloader=_dataloader(datasets, check_steps),
            evaluator=_one_or_several(metrics)),
        ('dataloader', 'evaluator'))(where, testing, trust)


def _dataloader(datasets: Family, check_steps: PipelineCheck) -> Check:
    """What MMEngine's Runner makes a dataloader of."""
    part = _with_pipeline(datasets, check_steps)
    split = Entry(
        dict(dataset=part, every=integer(2), held_out=boolean),
        ('dataset', 'every', 'held_out'))

    def dataset(where: str, value: Any, trust: Trust) -> None:
        # around one data set, not around another split
        kind = value.get('type') if isinstance(value, dict) else None
        if kind == 'pss.HeldOutSplit':
            Family(datasets.registry, datasets.scope,
                   {kind: split})(where, value, trust)
        else:
            part(where, value, trust)

    return mapping(
        dict(
            batch_size=integer(1, 65536),
            num_workers=integer(0, 256),
            persistent_workers=boolean,
            pin_memory=boolean,
            drop_last=boolean,
            prefetch_factor=optional(integer(1, 256)),
            sampler=SAMPLERS,
            batch_sampler=nothing,
            collate_fn=COLLATING,
            dataset=dataset), ['dataset'])


def _with_pipeline(datasets: Family, check_steps: PipelineCheck) -> Check:
    """A data set on a list, and its transforms on theirs."""

    def check(where: str, value: Any, trust: Trust) -> None:
        rest = value
        if isinstance(value, dict):
            rest = {k: v for k, v in value.items() if k != 'pipeline'}
        if rest != {}:  # an inferencer reads the pipeline alone
            datasets(where, rest, trust)
        check_steps(value.get('pipeline'), where, trust)

    return check


def _one_or_several(metrics: Family) -> Check:
    several = list_of(metrics, 1, 16)
    return lambda where, value, trust: \
        (several if isinstance(value, (list, tuple)) else metrics)(
            where, value, trust)


def _check_steps(pipeline: Any, where: str, trust: Trust) -> None:
    """The steps of a classifier's images; the last one may keep something."""
    if isinstance(pipeline, (list, tuple)) and pipeline and \
            _name(pipeline[-1]) == 'PackInputs':
        last = dict(pipeline[-1])
        if 'meta_keys' in last:
            list_of(choice(*_KEPT, _KEPT_FOR_VOC), 0,
                    32)(f'{where}: pipeline: meta_keys', last.pop('meta_keys'),
                        trust)
        pipeline = [*pipeline[:-1], last]
    check_pipeline(pipeline, where, trust)


def _name(config: Any) -> str:
    """The name of a config's class, without its scope."""
    kind = config.get('type') if isinstance(config, dict) else None
    return kind.rpartition('.')[2] if isinstance(kind, str) else ''


# --- detectors ---------------------------------------------------------------

_COCO = Entry(
    dict(
        _COMMON,
        ann_file=path('.json'),
        test_mode=boolean,
        metainfo=optional(
            mapping(
                dict(
                    classes=NAMES,
                    palette=list_of(list_of(integer(0, 255), 3, 3))))),
        data_prefix=mapping(dict(img=PATH)),
        backend_args=nothing,
        filter_cfg=optional(
            mapping(dict(filter_empty_gt=boolean,
                         min_size=integer(0, 65536))))), ['ann_file'])
_COCO_WORDS = ('bbox', 'segm', 'proposal', 'proposal_fast')
_COCO_METRIC = Entry(
    dict(
        _METRIC,
        ann_file=optional(path('.json')),
        classwise=boolean,
        metric=either(
            list_of(choice(*_COCO_WORDS), 1, 4), choice(*_COCO_WORDS)),
        proposal_nums=list_of(integer(1, 100_000), 3, 3),
        iou_thrs=optional(
            either(
                list_of(number(least=0, most=1), 1, 100),
                number(least=0, most=1))),
        metric_items=optional(list_of(text(40), 1, 100)),
        backend_args=nothing,
        format_only=choice(False),
        outfile_prefix=nothing))


def _is_detection(dataset: Any) -> bool:
    """Whether a data set, or the one that it splits, is mmdet's."""
    if isinstance(dataset, dict) and isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    return isinstance(dataset, dict) and \
        dataset.get('type') in ('CocoDataset', 'mmdet.CocoDataset')


def _detection(where: str) -> Tuple[Family, Family, PipelineCheck]:
    """The lists for detectors."""
    if find_spec('mmdet') is None:
        raise InputError(f'{where}: a detector\'s, which needs MMDetection; it '
                         'is not installed, see docs/detection.md')
    from mmdet.registry import DATASETS, METRICS

    from .detector_vocabulary import check_detector_pipeline
    return (Family(DATASETS, 'mmdet', {'CocoDataset': _COCO}),
            Family(METRICS, 'mmdet',
                   {'CocoMetric': _COCO_METRIC}), check_detector_pipeline)


# --- from a config -----------------------------------------------------------

# What keys of the dataloader, and of classes on the lists, hold by default.
_LOADER_DEFAULTS: Mapping[str, Any] = dict.fromkeys(
    ('batch_sampler', 'worker_init_fn', 'num_batch_per_epoch',
     'prefetch_factor'))
_DEFAULTS: Mapping[str, Any] = dict(
    backend_args=None,
    file_client_args=None,
    metainfo=None,
    classes=None,
    indices=None,
    filter_cfg=None,
    multi_label=False,
    proposal_file=None,
    seg_map_suffix='.png',
    return_classes=False,
    caption_prompt=None,
    collect_dir=None,
    prefix=None,
    ann_file=None,
    metric_items=None,
    iou_thrs=None,
    outfile_prefix=None,
    format_only=False,
    sort_categories=False,
    use_mp_eval=False)
# classes that are not on the lists may have other defaults
_LISTED = {
    *CLASSIFIED.entries, *CLASSIFIED_METRICS.entries, 'CocoDataset',
    'CocoMetric', 'LoadImageFromFile'
}


def testing_of(config_dataloader: Mapping[str, Any],
               config_evaluator: Any) -> Dict[str, Any]:
    """A config's test dataloader and evaluator, as a bank keeps them.

    Args:
        config_dataloader: ``test_dataloader``.
        config_evaluator: ``test_evaluator``, or a list of them.

    Returns:
        Both, without what has its default, names the scope it is looked up
        in, or only matters on the machine at hand (``pin_memory``). Whether
        a bank may hold the rest, :func:`check_testing` says.
    """
    loader = _stripped(config_dataloader)
    if isinstance(loader, dict):
        loader.pop('pin_memory', None)
        loader = _without(loader, _LOADER_DEFAULTS)
    return dict(dataloader=loader, evaluator=_stripped(config_evaluator))


def _stripped(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_stripped(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    stripped = {
        key: _stripped(item)
        for key, item in value.items() if key != '_scope_'
    }
    kind = stripped.get('type')
    if isinstance(kind, str) and kind.removeprefix('mmpretrain.').removeprefix(
            'mmdet.') in _LISTED:
        stripped = _without(stripped, _DEFAULTS)
    if isinstance(stripped.get('pipeline'), list):
        stripped['pipeline'] = _stripped_steps(stripped['pipeline'])
    return stripped


def _without(config: Dict[str, Any], defaults: Mapping[str,
                                                       Any]) -> Dict[str, Any]:
    return {
        key: value
        for key, value in config.items()
        if key not in defaults or value != defaults[key]
    }


def _stripped_steps(pipeline: List[Any]) -> List[Any]:
    """The steps without what neither predictions nor metrics need."""
    if not all(isinstance(step, dict) for step in pipeline):
        return pipeline
    steps = inference_steps(pipeline)
    for step, former in zip(steps, pipeline):
        keys = former.get('meta_keys')
        if _name(step) == 'PackInputs' and isinstance(keys, list) and \
                not set(map(str, keys)) <= set(_KEPT):
            step['meta_keys'] = keys
    return steps
