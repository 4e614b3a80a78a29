"""Data loading in which every image of every epoch is the same in each run.

Which images make a batch follows from the sampler's seed and the epoch; what
augmentation makes of an image follows from the seed, the epoch and the image.
Neither depends on what was loaded before, in which worker or process: a run can
start in the middle of an epoch, and on another number of processes.
"""

from itertools import islice
from typing import Any, Iterator, List

from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset

from ...errors import InputError
from ..randomness import mixed, seed_images

# what a loader is made of besides its dataset and its batches
_OPTIONS = ('num_workers', 'collate_fn', 'pin_memory', 'timeout',
            'worker_init_fn', 'multiprocessing_context', 'generator',
            'prefetch_factor', 'persistent_workers', 'pin_memory_device')


class EpochBatches(BatchSampler):
    """Batches of keys from which :class:`SeededDataset` knows the epoch too.

    A key is ``epoch * size + index``: workers that live for several epochs need
    not be told which one it is.

    Args:
        batches: the batch sampler to take indices from.
        size: images in the dataset.

    Attributes:
        epoch: the epoch, from 0.
        start: how many of its batches the next iteration over it leaves out.
    """

    def __init__(self, batches: BatchSampler, size: int) -> None:
        self._batches = batches
        self._size = size
        self.epoch = 0
        self.start = 0

    @property
    def sampler(self) -> Any:
        """The sampler behind the batches; MMEngine sets its epoch."""
        return self._batches.sampler

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[List[int]]:
        first = self.epoch * self._size
        for batch in islice(self._batches, self.start, None):
            yield [first + index for index in batch]


class SeededDataset(Dataset):
    """A dataset whose random augmentation follows from epoch and image.

    Args:
        dataset: the dataset; its ``metainfo`` stays reachable.

    Attributes:
        seed: of the run; whoever iterates sets it.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.seed = 0

    @property
    def metainfo(self) -> dict:
        """The dataset's."""
        return getattr(self.dataset, 'metainfo', {})

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: int) -> Any:
        epoch, index = divmod(key, len(self))
        seed_images(mixed(self.seed, epoch, index))
        return self.dataset[index]


def repeatable(loader: DataLoader) -> DataLoader:
    """The same loader over a :class:`SeededDataset`.

    Args:
        loader: of a dataset with a length; its ``batch_sampler`` becomes an
            :class:`EpochBatches`.

    Raises:
        InputError: for a dataset that only iterates, and for an epoch without
            a batch.
    """
    if isinstance(loader.dataset, IterableDataset) or \
            loader.batch_sampler is None:
        raise InputError(
            f'train_dataloader: {type(loader.dataset).__name__} only iterates '
            '(or batch_size is None), so training cannot go on inside an '
            'epoch; expected datasets with a length, or '
            "train_cfg.type='EpochBasedTrainLoop'")
    if not len(loader):
        size = getattr(loader.batch_sampler, 'batch_size', loader.batch_size)
        raise InputError(
            f'train_dataloader.batch_size={size}: an epoch has no iteration, '
            f'since drop_last leaves out what is less of the '
            f'{len(loader.batch_sampler.sampler)} images of a process; '
            'expected no more than these')
    options = {name: getattr(loader, name) for name in _OPTIONS}
    return DataLoader(
        SeededDataset(loader.dataset),
        batch_sampler=EpochBatches(loader.batch_sampler, len(loader.dataset)),
        **options)
