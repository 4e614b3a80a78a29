"""Building datasets, with clear errors for missing files."""

from contextlib import contextmanager
from typing import Any, Dict, Iterator

from ..errors import InputError
from ..registry import DATASETS
from .shared_lists import build_shared, list_key


def build_dataset(dataset: Dict[str, Any]) -> Any:
    """Builds a dataset that has read its annotations, or shares the list that
    another one has read, see :mod:`.shared_lists`.

    Raises:
        InputError: if its files are missing or annotations cannot be read.
    """
    with naming(dataset):
        key = list_key(dataset)
        if key is None:
            return read_dataset(dataset)
        return build_shared(dataset, key, lambda: {None: read_dataset(dataset)})


def read_dataset(dataset: Dict[str, Any]) -> Any:
    """Builds a dataset and makes it read its annotations."""
    built = DATASETS.build(dataset)
    if hasattr(built, 'full_init'):
        built.full_init()
    return built


@contextmanager
def naming(dataset: Dict[str, Any]) -> Iterator[None]:
    """Names a dataset in errors of building it.

    Raises:
        InputError: for what datasets raise for files that are missing, empty
            or of another format.
    """
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, AssertionError, ValueError) as error:
        raise InputError(f'{dataset["type"]} in data_root='
                         f'{dataset.get("data_root")!r}: {error}') from None
