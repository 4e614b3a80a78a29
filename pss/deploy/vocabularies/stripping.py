"""Parts of a config without what a bank need not keep.

Keys that hold their default are left out, so that the lists need not name them.
"""

from typing import Any, Dict, List, Mapping

from .steps import class_name
from .testing import CLASSIFIED, CLASSIFIED_METRICS, KEPT

_Defaults = Mapping[str, Mapping[str, Any]]
# keys of steps which predictions do not need, if they hold these values
_UNUSED: _Defaults = {
    'LoadImageFromFile': dict(backend_args=None, file_client_args=None),
    'Resize': dict(clip_object_border=True, scale_factor=None),
}
_UNUSED_BY_CLASSIFIERS: _Defaults = {
    **_UNUSED,
    'CenterCrop':
    dict(clip_object_border=True, auto_pad=False, pad_cfg=dict(type='Pad')),
}
_UNUSED_BY_DETECTORS: _Defaults = {
    **_UNUSED, 'FixScaleResize': _UNUSED['Resize']
}


def classifier_steps(pipeline: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """A classifier's test pipeline without what predictions do not need.

    Args:
        pipeline: configs of its transforms; left unchanged.

    Returns:
        The same steps without the keys that hold their default; the last one,
        ``PackInputs``, without any key.
    """
    return [
        dict(type=step['type']) if class_name(step) == 'PackInputs' else step
        for step in _without_unused(pipeline, _UNUSED_BY_CLASSIFIERS)
    ]


def detector_steps(pipeline: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """A detector's test pipeline without what predictions do not need.

    Args:
        pipeline: configs of its transforms; left unchanged.

    Returns:
        The same steps without the keys that hold their default and without
        those that load annotations.
    """
    return [
        step for step in _without_unused(pipeline, _UNUSED_BY_DETECTORS)
        if class_name(step) != 'LoadAnnotations'
    ]


def _without_unused(pipeline: List[Dict[str, Any]],
                    unused: _Defaults) -> List[Dict[str, Any]]:
    return [
        _without(step, unused.get(class_name(step), {})) for step in pipeline
    ]


# Defaults of a dataloader's keys, and of keys of the listed classes.
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
# other classes may have other defaults
_LISTED = {
    *CLASSIFIED.entries, *CLASSIFIED_METRICS.entries, 'CocoDataset',
    'CocoMetric', 'LoadImageFromFile'
}


def kept_testing(config_dataloader: Mapping[str, Any],
                 config_evaluator: Any) -> Dict[str, Any]:
    """A config's test dataloader and evaluator, as a bank keeps them.

    Args:
        config_dataloader: ``test_dataloader``.
        config_evaluator: ``test_evaluator``, or a list of them.

    Returns:
        Both, without keys that hold their default, name the scope of a type,
        or matter only on the current machine (``pin_memory``). Whether a bank
        may contain the rest, :func:`.check_testing` decides.
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
    steps = classifier_steps(pipeline)
    for step, former in zip(steps, pipeline):
        keys = former.get('meta_keys')
        if class_name(step) == 'PackInputs' and isinstance(keys, list) and \
                not set(map(str, keys)) <= set(KEPT):
            step['meta_keys'] = keys
    return steps
