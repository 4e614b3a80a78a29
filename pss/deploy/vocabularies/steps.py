"""Preprocessing steps that classifiers and detectors have in common."""

from typing import Any, Dict, List, Mapping, Sequence

from .grammar import Check, Entry, boolean, choice, either, list_of
from .values import SIDE

BACKENDS: Mapping[str, Sequence[str]] = {
    'cv2': ('nearest', 'bilinear', 'bicubic', 'lanczos', 'area'),
    'pillow': ('nearest', 'bilinear', 'bicubic', 'lanczos', 'box', 'hamming')
}
INTERPOLATION: Dict[str, Check] = dict(
    backend=choice(*BACKENDS),
    interpolation=choice(*dict.fromkeys(name for names in BACKENDS.values()
                                        for name in names)))
LOAD_IMAGE = Entry(
    dict(
        color_type=choice('color', 'grayscale'),
        imdecode_backend=choice(*BACKENDS),
        to_float32=choice(False),
        ignore_empty=choice(False)))
RESIZE = Entry(
    dict(
        INTERPOLATION,
        scale=either(list_of(SIDE, 2, 2), SIDE),
        keep_ratio=boolean), ['scale'])


def class_name(config: Any) -> str:
    """The name of a config's class without its scope; empty if it has none."""
    kind = config.get('type') if isinstance(config, dict) else None
    return kind.rpartition('.')[2] if isinstance(kind, str) else ''


def class_names(pipeline: Sequence[Any]) -> List[str]:
    """The names of a pipeline's steps without their scopes."""
    return [class_name(step) for step in pipeline]
