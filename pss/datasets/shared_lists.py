"""Lists of images that several datasets of a run have in common.

An ImageNet config lists its training images five times: to train, for two
calibrations, and to hold some out for validation and for the choice of subnets.
These datasets only differ in their pipelines, so each list is read once and
held once: MMEngine keeps it in two arrays, which datasets can share, and the
processes that load their images do.
"""

import copy
import json
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Callable, Dict, Hashable, Iterator, Optional, Tuple
from weakref import WeakKeyDictionary

from mmpretrain.datasets import CustomDataset, ImageNet, ImageNet21k

from ..allocator import release_freed_memory
from ..registry import DATASETS
from .folder_dataset import FolderDataset

# those whose list is known not to depend on the pipeline
_KINDS = (CustomDataset, FolderDataset, ImageNet, ImageNet21k)
_ARRAYS = ('data_bytes', 'data_address')
# what reading a list sets
_READ = (*_ARRAYS, '_metainfo', 'folder_to_idx', '_fully_initialized')

_Parts = Dict[Hashable, Any]  # datasets
_active: ContextVar[Optional['SharedLists']] = ContextVar('lists', default=None)
_of_runs: 'WeakKeyDictionary[Any, SharedLists]' = WeakKeyDictionary()


class SharedLists:
    """Lists that were read; they live as long as this does."""

    def __init__(self) -> None:
        self._parts: Dict[Hashable, _Parts] = {}

    @classmethod
    def of_run(cls, run: Any) -> 'SharedLists':
        """Those of a run, by any object that lives as long as it does."""
        return _of_runs.setdefault(run, cls())

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Datasets that are built in the ``with`` block share their lists with
        all that were built in such a block before."""
        token = _active.set(self)
        try:
            yield
        finally:
            _active.reset(token)

    def parts(self, key: Hashable, read: Callable[[], _Parts]) -> _Parts:
        """The datasets of a key, read if they are not known yet."""
        if key not in self._parts:
            found = read()
            for dataset in found.values():
                for name in _ARRAYS:  # several datasets will have them
                    getattr(dataset, name).flags.writeable = False
            self._parts[key] = found
            release_freed_memory()
        return self._parts[key]


def list_key(dataset: Dict[str, Any]) -> Optional[Tuple[Any, str]]:
    """What a dataset lists: its class, and the arguments that the list follows
    from, as text.

    Args:
        dataset: its config.

    Returns:
        ``None`` if the list cannot be shared, since the class is not one of
        mmpretrain's for files or ours, or is told not to serialise it.
    """
    if not isinstance(dataset, dict):  # what builds it says so
        return None
    kind = dataset.get('type')
    if isinstance(kind, str):
        with DATASETS.switch_scope_and_registry(
                dataset.get('_scope_')) as registry:
            kind = registry.get(kind)
    if kind not in _KINDS or not dataset.get('serialize_data', True):
        return None
    arguments = {
        name: value
        for name, value in dataset.items()
        if name not in ('type', 'pipeline', 'lazy_init')
    }
    try:
        return kind, json.dumps(arguments, sort_keys=True)
    except (TypeError, ValueError):  # not plain data
        return None


def build_shared(dataset: Dict[str, Any],
                 key: Hashable,
                 read: Callable[[], _Parts],
                 part: Hashable = None) -> Any:
    """Builds a dataset with a list that may have been read before.

    Args:
        dataset: its config, which has a :func:`list_key`.
        key: that, and how the list is split.
        read: builds datasets that have read the list, by the part they have.
        part: the one that the dataset gets.
    """
    lists = _active.get() or SharedLists()
    source = vars(lists.parts(key, read)[part])
    built = DATASETS.build(dict(dataset, lazy_init=True))
    for name in _READ:
        if name in source:
            value = source[name]
            vars(built)[name] = value if name in _ARRAYS else \
                copy.deepcopy(value)
    return built
