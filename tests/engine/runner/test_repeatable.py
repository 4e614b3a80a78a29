import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader, Dataset, IterableDataset

from pss.engine.randomness import mixed, seed_images
from pss.engine.runner.repeatable import repeatable
from pss.errors import InputError


class Noisy(Dataset):
    """A dataset whose images are their number and three random ones."""

    metainfo = dict(classes=('a', 'b'))

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return torch.tensor(
            [index, random.random(),
             np.random.rand(),
             torch.rand(())],
            dtype=torch.float64)


def batches(epoch, start=0, loader=None, **options):
    """The batches of one epoch, from a given one on."""
    if loader is None:
        dataset = Noisy()
        loader = repeatable(
            DataLoader(
                dataset,
                batch_size=3,
                sampler=DefaultSampler(dataset, seed=1),
                **options))
    loader.dataset.seed = 5
    loader.batch_sampler.sampler.set_epoch(epoch)
    loader.batch_sampler.epoch, loader.batch_sampler.start = epoch, start
    return list(loader)


def test_images_follow_from_epoch_and_index():
    """Oracle: each image alone, seeded by hand; the sampler's own order."""
    sampler = DefaultSampler(Noisy(), seed=1)
    sampler.set_epoch(4)
    expected = []
    for index in sampler:
        seed_images(mixed(5, 4, index))
        expected.append(Noisy()[index])
    found = batches(4)
    assert [len(batch) for batch in found] == [3, 3, 3, 1]
    assert torch.equal(torch.cat(found), torch.stack(expected))


@pytest.mark.parametrize('options', [
    dict(num_workers=2),
    dict(num_workers=1, prefetch_factor=4),
    dict(num_workers=2, persistent_workers=True)
])
def test_workers_and_the_past_do_not_matter(options):
    """Oracle: the same epochs, whole, in this process; persistent workers load
    two epochs."""
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    dataset = Noisy()
    loader = repeatable(
        DataLoader(
            dataset,
            batch_size=3,
            sampler=DefaultSampler(dataset, seed=1),
            **options))
    for epoch, start in ((0, 0), (3, 2), (4, 4)):
        found = batches(epoch, start, loader)
        whole = batches(epoch)
        assert len(found) == 4 - start
        assert all(map(torch.equal, found, whole[start:]))


def test_epochs_and_images_differ():
    """Oracle: random numbers of ten images in two epochs: no two alike."""
    rows = torch.cat([*batches(0), *batches(1)])
    assert len(set(rows[:, 1].tolist())) == 20
    assert len(set(rows[:, 2].tolist())) == 20
    assert len(set(rows[:, 3].tolist())) == 20


def test_other_options_stay():
    """Oracle: the options and the dataset of the original loader."""
    plain = DataLoader(
        Noisy(),
        batch_size=4,
        drop_last=True,
        num_workers=1,
        collate_fn=list,
        timeout=7)
    loader = repeatable(plain)
    assert len(loader) == len(plain) == 2
    assert (loader.num_workers, loader.timeout) == (1, 7)
    assert loader.collate_fn is list
    assert loader.dataset.metainfo == Noisy.metainfo


def test_datasets_without_a_length():
    """Oracle: the message names the field and what is expected."""

    class Stream(IterableDataset):

        def __iter__(self):
            return iter(range(3))

    with pytest.raises(InputError, match='train_dataloader: Stream.*expected'):
        repeatable(DataLoader(Stream()))
