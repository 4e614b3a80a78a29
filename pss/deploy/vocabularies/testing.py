"""How a bank's exported networks are tested: dataloaders and evaluators.

They go into the config of an exported network, and a Runner builds whatever is
there. The listed datasets read images, and lists of them from text, JSON or
XML; the listed metrics only compute. Whatever unpickles files (CIFAR, Coco's
proposals), reads ``.mat`` files, downloads or writes is not listed. MMEngine
itself takes a text in ``metainfo`` for the path of a file and a path with
``://`` for a URL, and picks a reader by the ending of an annotation file: hence
the checks of these.
"""

from typing import Any, Callable, Dict, Tuple

from mmengine.registry import FUNCTIONS
from mmpretrain.registry import DATA_SAMPLERS, DATASETS, METRICS

from ...checks import LARGEST_SEED, LONGEST_PATH, check_text, shown
from ...errors import InputError
from .classifiers import check_pipeline
from .detectors import check_detector_pipeline, import_mmdet
from .grammar import (
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
from .steps import class_name
from .values import CLASSES, SHARE

# (pipeline, where, trust)
PipelineCheck = Callable[[Any, str, Trust], None]


def path(*endings: str) -> Check:
    """A path on this machine, or an empty text.

    Args:
        endings: if given, the path ends in one of them.
    """

    def check_path(where: str, value: Any, trust: Trust) -> None:
        check_text(where, value, 1000)
        if any(word in value for word in ('://', '{{', '}}')):
            raise InputError(f'{where}={shown(value)}: expected the path of a '
                             'file or a folder, not a URL or a template')
        if endings and value and not value.endswith(endings):
            raise InputError(f'{where}={shown(value)}: expected a path that '
                             f'ends in {" or ".join(endings)}')

    return check_path


NAMES = list_of(text(200))
PATH = path()
LISTS = path('.txt', '.json')
PARTS = ('train', 'held_out', 'test')  # of a folder of classes
SPLITS = ('train', 'val', 'trainval', 'test')

# the keys of MMEngine's BaseDataset; pipelines are checked by themselves
_COMMON: Dict[str, Check] = dict(
    data_root=PATH,
    metainfo=optional(mapping(dict(classes=NAMES))),
    indices=optional(either(list_of(integer()), integer())),
    filter_cfg=nothing,
    serialize_data=boolean,
    lazy_init=boolean,
    max_refetch=integer(0, 1_000_000))
_CLASSIFIED: Dict[str, Check] = dict(_COMMON, classes=optional(NAMES))
_FOLDERS = either(mapping(dict(img_path=PATH), ['img_path']), PATH)
_CUSTOM: Dict[str, Check] = dict(
    _CLASSIFIED,
    data_prefix=_FOLDERS,
    ann_file=LISTS,
    with_label=boolean,
    extensions=list_of(text(20), 1, 100),
    test_mode=boolean)


def _laid_out(*splits: str, **keys: Check) -> Entry:
    """A dataset whose class knows where the lists of its images are."""
    return Entry(
        dict(_CLASSIFIED, split=choice(*splits), **keys), ['data_root'])


_DIGITS = Entry(
    dict(
        _CLASSIFIED,
        data_prefix=PATH,
        split=choice('train', 'test'),
        test_mode=boolean,
        download=choice(False)),
    ['data_root', 'download'])  # by default it downloads
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
        'pss.FolderDataset':
        Entry(
            dict(
                _CLASSIFIED,
                part=choice(*PARTS),
                held_out=SHARE,
                test=SHARE,
                seed=integer(0, LARGEST_SEED),
                skipped=list_of(text(LONGEST_PATH)),
                digest=optional(text(16)),
                test_mode=boolean), ['data_root', 'part']),
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

_METRIC: Dict[str, Check] = dict(
    collect_device=choice('cpu', 'gpu'), prefix=optional(text(100)))
_TOPK = either(list_of(integer(1), 1, 100), integer(1))
_THRESHOLDS = either(list_of(optional(number()), 1, 100), optional(number()))
_AVERAGE = choice('macro', 'micro', None)
_ITEMS = list_of(choice('precision', 'recall', 'f1-score', 'support'), 1, 4)
_SEVERAL: Dict[str, Check] = dict(
    _METRIC,
    thr=optional(number()),
    topk=optional(integer(1)),
    items=_ITEMS,
    average=_AVERAGE)
_PRECISION: Dict[str, Check] = dict(_METRIC, average=choice('macro', None))
_DIFFICULT: Dict[str, Check] = dict(difficult_as_positive=optional(boolean))
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
# MMEngine imports and calls whatever a config names here
COLLATING = Family(FUNCTIONS, 'mmengine', {
    'default_collate': Entry(),
    'pseudo_collate': Entry()
})

# what mmpretrain's PackInputs keeps of an image by default, and what its
# metrics for VOC need as well
KEPT = ('sample_idx', 'img_path', 'ori_shape', 'img_shape', 'scale_factor',
        'flip', 'flip_direction')
_KEPT_FOR_VOC = 'gt_label_difficult'


def check_testing(testing: Any, where: str, trust: Trust = ()) -> None:
    """Checks the configs that exported networks are tested with.

    Args:
        testing: the ``dataloader`` and the ``evaluator``, or empty. The type of
            the dataset tells a detector's from a classifier's.
        where: the file or config they are in, for the message.
        trust: packages whose registered classes are allowed as well.

    Raises:
        InputError: it names the field, its value and what was expected; also
            for a detector's if MMDetection is not installed.
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
    """The config of a dataloader, as MMEngine's Runner builds it."""
    part = _with_pipeline(datasets, check_steps)
    split = Entry(
        dict(dataset=part, every=integer(2), held_out=boolean),
        ('dataset', 'every', 'held_out'))

    def dataset(where: str, value: Any, trust: Trust) -> None:
        # of a dataset, not of another split
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
    """A dataset on a list, whose transforms are on theirs."""

    def check(where: str, value: Any, trust: Trust) -> None:
        rest = value
        if isinstance(value, dict):
            rest = {k: v for k, v in value.items() if k != 'pipeline'}
        if rest != {}:  # inferencers need nothing but the pipeline
            datasets(where, rest, trust)
        check_steps(value.get('pipeline'), where, trust)

    return check


def _one_or_several(metrics: Family) -> Check:
    several = list_of(metrics, 1, 16)
    return lambda where, value, trust: \
        (several if isinstance(value, (list, tuple)) else metrics)(
            where, value, trust)


def _check_steps(pipeline: Any, where: str, trust: Trust) -> None:
    """The steps of a classifier's images; the last one may have
    ``meta_keys``."""
    if isinstance(pipeline, (list, tuple)) and pipeline and \
            class_name(pipeline[-1]) == 'PackInputs':
        last = dict(pipeline[-1])
        if 'meta_keys' in last:
            list_of(choice(*KEPT, _KEPT_FOR_VOC), 0,
                    32)(f'{where}: pipeline: meta_keys', last.pop('meta_keys'),
                        trust)
        pipeline = [*pipeline[:-1], last]
    check_pipeline(pipeline, where, trust)


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
        iou_thrs=optional(either(list_of(SHARE, 1, 100), SHARE)),
        metric_items=optional(list_of(text(40), 1, 100)),
        backend_args=nothing,
        format_only=choice(False),
        outfile_prefix=nothing))


def _is_detection(dataset: Any) -> bool:
    """Whether a dataset, or the one that it is a split of, is mmdet's."""
    if isinstance(dataset, dict) and isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    return isinstance(dataset, dict) and \
        dataset.get('type') in ('CocoDataset', 'mmdet.CocoDataset')


def _detection(where: str) -> Tuple[Family, Family, PipelineCheck]:
    """The lists for detectors: datasets, metrics, steps."""
    import_mmdet(where)
    from mmdet import registry
    return (Family(registry.DATASETS, 'mmdet', {'CocoDataset': _COCO}),
            Family(registry.METRICS, 'mmdet',
                   {'CocoMetric': _COCO_METRIC}), check_detector_pipeline)
