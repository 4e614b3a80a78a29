"""Reproducible data loading: every run sees the same images in every epoch.

The sampler's seed and the epoch decide which images make a batch; seed, epoch
and image decide how an image is augmented. Neither depends on what was loaded
before, or in which worker or process, so a run can resume in the middle of an
epoch, and on another number of processes.
"""

from itertools import islice
from typing import Any, Dict, Iterator, List

from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset

from ...errors import InputError
from ..randomness import mixed, seed_images

# arguments of a loader besides its dataset and its batches
_OPTIONS = ('num_workers', 'collate_fn', 'pin_memory', 'timeout',
            'worker_init_fn', 'multiprocessing_context', 'generator',
            'prefetch_factor', 'persistent_workers', 'pin_memory_device')


class EpochBatches(BatchSampler):
    """Batches of keys that tell :class:`SeededDataset` the epoch and the image.

    A key is ``epoch * size + index``, so that workers that live for several
    epochs know the current one.

    Args:
        batches: the batch sampler to take indices from.
        size: images in the dataset.

    Attributes:
        epoch: the epoch, from 0.
        start: how many of its batches the next iteration skips.
    """

    def __init__(self, batches: BatchSampler, size: int) -> None:
        self._batches = batches
        self.sampler = batches.sampler  # MMEngine sets its epoch
        self._size = size
        self.epoch = 0
        self.start = 0

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[List[int]]:
        first = self.epoch * self._size
        for batch in islice(self._batches, self.start, None):
            yield [first + index for index in batch]


class SeededDataset(Dataset[Any]):
    """A dataset whose random augmentation depends on epoch and image alone.

    Args:
        dataset: the dataset, with a length.

    Attributes:
        seed: the run's; the training loop sets it.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.seed = 0

    @property
    def metainfo(self) -> Dict[str, Any]:
        """The dataset's meta information."""
        metainfo: Dict[str, Any] = getattr(self.dataset, 'metainfo', {})
        return metainfo

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: int) -> Any:
        epoch, index = divmod(key, len(self))
        seed_images(mixed(self.seed, epoch, index))
        return self.dataset[index]


def repeatable(loader: DataLoader[Any]) -> DataLoader[Any]:
    """Returns the same loader over a :class:`SeededDataset`.

    Args:
        loader: of a dataset with a length; its ``batch_sampler`` becomes an
            :class:`EpochBatches`.

    Raises:
        InputError: if the dataset only iterates, or an epoch has no batch.
    """
    batches: Any = loader.batch_sampler
    dataset: Any = loader.dataset
    if isinstance(dataset, IterableDataset) or batches is None:
        raise InputError(
            f'train_dataloader: {type(dataset).__name__} only iterates '
            '(or batch_size is None), so training cannot resume inside '
            'an epoch; expected datasets with a length, or '
            "train_cfg.type='EpochBasedTrainLoop'")
    if not len(loader):
        size = getattr(batches, 'batch_size', loader.batch_size)
        raise InputError(
            f'train_dataloader.batch_size={size}: an epoch has no iteration, '
            'since drop_last skips an incomplete batch; expected at most the '
            f'{len(batches.sampler)} images of a process')
    options = {name: getattr(loader, name) for name in _OPTIONS}
    return DataLoader(
        SeededDataset(dataset),
        batch_sampler=EpochBatches(batches, len(dataset)),
        **options)
