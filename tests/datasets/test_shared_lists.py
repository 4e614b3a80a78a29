"""Lists of images that are read and held once."""

import gc
import os
import re
import weakref
from pathlib import Path

import numpy as np
import pytest
from mmpretrain.datasets import CustomDataset, ImageNet

from pss.datasets import SharedLists, build_dataset
from pss.errors import InputError
from pss.registry import DATASETS

IMAGENET = dict(type='mmpretrain.ImageNet', split='train')
SCANNED = dict(type='mmpretrain.CustomDataset', data_prefix='train')
FOLDER = dict(type='pss.FolderDataset', part='train')
STEPS = [dict(type='mmpretrain.PackInputs')]


def held_out(dataset, part=True, every=5):
    return dict(
        type='pss.HeldOutSplit', dataset=dataset, every=every, held_out=part)


def listed(dataset):
    """All that a dataset lists."""
    return [dataset.get_data_info(i) for i in range(len(dataset))], \
        dataset.metainfo


@pytest.fixture
def reads(monkeypatch):
    """The datasets that have read a list."""
    found = []

    def counted(self, load):
        found.append(self)
        return load(self)

    for kind in (CustomDataset, DATASETS.get('pss.FolderDataset')):
        monkeypatch.setattr(
            kind,
            'load_data_list',
            lambda self, load=kind.load_data_list: counted(self, load))
    return found


@pytest.mark.parametrize('dataset', [IMAGENET, SCANNED, FOLDER])
def test_whole_lists(tiny_imagenet, tmp_path, reads, dataset):
    """Oracle: MMEngine's own dataset, entry by entry; the arrays are the same
    memory; pipelines are those of each config."""
    for name in ('a/1.jpg', 'a/2.jpg', 'a/3.jpg', 'b/1.jpg', 'b/2.jpg',
                 'b/3.jpg'):  # of which only the names are read
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    root = tmp_path if dataset is FOLDER else tiny_imagenet
    dataset = dict(dataset, data_root=str(root))
    alone = DATASETS.build(dict(dataset, pipeline=STEPS))
    reads.clear()
    with SharedLists().sharing():
        one = build_dataset(dict(dataset, pipeline=[]))
        other = build_dataset(dict(dataset, pipeline=STEPS))
    assert listed(one) == listed(other) == listed(alone)
    assert type(one) is type(other) is type(alone)
    assert set(vars(other)) == set(vars(alone))
    assert one.data_bytes is other.data_bytes
    assert one.data_address is other.data_address
    assert one.data_bytes.dtype == alone.data_bytes.dtype
    assert one.data_address.dtype == alone.data_address.dtype
    assert [len(d.pipeline.transforms) for d in (one, other)] == [0, 1]
    assert len(reads) == 1
    one._metainfo['classes'] = ()
    assert other.metainfo == alone.metainfo


@pytest.mark.parametrize('every', [2, 5, 23, 500])
def test_parts(tiny_imagenet, reads, every):
    """Oracle: MMEngine's subset of the same images, one in ``every`` from the
    middle of equal stretches, entry by entry; a list is read once for both
    parts, however often each is built."""
    dataset = dict(IMAGENET, data_root=str(tiny_imagenet))
    num = len(DATASETS.build(dataset))
    count = max(num // every, 1)
    middle = [(2 * k + 1) * num // (2 * count) for k in range(count)]
    others = [i for i in range(num) if i not in middle]
    reads.clear()
    with SharedLists().sharing():
        built = [
            DATASETS.build(
                held_out(dict(dataset, pipeline=steps), part, every))
            for steps in ([], STEPS) for part in (False, True)
        ]
    assert len(reads) == 1
    for found, chosen in zip(built, [others, middle] * 2):
        alone = DATASETS.build(dataset)
        alone.get_subset_(chosen)
        assert listed(found) == listed(alone)
        assert found.data_address.dtype == alone.data_address.dtype
    for one, other in zip(built[:2], built[2:]):
        assert one.data_bytes is other.data_bytes
        assert one.data_address is other.data_address
    # nothing is held but the two parts
    assert sum(len(d.data_bytes)
               for d in built[:2]) == len(DATASETS.build(dataset).data_bytes)
    assert all(d.data_bytes.base is None for d in built)


class Own(ImageNet):
    """A dataset of a user's."""


@pytest.mark.parametrize('changes', [
    dict(split='val'),
    dict(serialize_data=False),
    dict(indices=3),
    dict(metainfo=dict(note='other')),
    dict(type=Own),
    dict(metainfo=dict(note=object))
])
def test_what_is_not_shared(tiny_imagenet, reads, changes):
    """Oracle: each reads its own list if an argument differs, or if it is not
    known that the list can be shared."""
    dataset = dict(IMAGENET, data_root=str(tiny_imagenet))
    other = dict(dataset, **changes)
    with SharedLists().sharing():
        build_dataset(dataset)
        built = [build_dataset(other) for _ in range(2)]
    shareable = not {'serialize_data', 'type'} & set(changes) and \
        changes != dict(metainfo=dict(note=object))
    assert len(reads) == (2 if shareable else 3)
    assert listed(built[0]) == listed(DATASETS.build(other))


def test_without_a_run(tiny_imagenet, reads):
    """Oracle: lists are read anew where nobody says that they are of one run:
    files may have changed."""
    dataset = dict(IMAGENET, data_root=str(tiny_imagenet))
    one, other = build_dataset(dataset), build_dataset(dataset)
    assert len(reads) == 2 and one.data_bytes is not other.data_bytes


class Run:
    """What a Runner is here."""


def test_lifetime(tiny_imagenet):
    """Oracle: the garbage collector: lists end with their run."""
    run = Run()
    cfg = dict(
        type='pss.CheckedDataset',
        where='train_dataloader',
        dataset=dict(IMAGENET, data_root=str(tiny_imagenet)),
        run=weakref.ref(run))
    one, other = DATASETS.build(cfg), DATASETS.build(cfg)
    assert one.data_bytes is other.data_bytes
    array = weakref.ref(one.data_bytes)
    del one, other
    gc.collect()
    assert array() is not None
    del run
    gc.collect()
    assert array() is None


def test_errors(tmp_path):
    """Oracle: the message for a file that is missing, each time."""
    dataset = dict(IMAGENET, data_root=str(tmp_path))
    with SharedLists().sharing():
        for cfg in (dataset, dataset, held_out(dataset)):
            with pytest.raises((InputError, OSError), match=str(tmp_path)):
                build_dataset(cfg)


def private():
    """Bytes that this process shares with no other."""
    text = Path('/proc/self/smaps_rollup').read_text()
    return 1024 * sum(map(int, re.findall('^Private_.*?(\\d+) kB', text, re.M)))


@pytest.mark.skipif(
    not Path('/proc/self/smaps_rollup').exists(), reason='needs Linux')
def test_that_workers_share_the_list(tmp_path):
    """Oracle: the kernel's account of a forked process that has read every
    entry, as workers do, against the size of the list."""
    (tmp_path / 'list.txt').write_text(''.join(
        f'n01440764/n01440764_{i:06}.JPEG {i % 1000}\n'
        for i in range(100_000)))
    dataset = DATASETS.build(
        held_out(
            dict(
                type='mmpretrain.CustomDataset',
                data_root=str(tmp_path),
                ann_file='list.txt'), False))
    size = dataset.data_bytes.nbytes + dataset.data_address.nbytes
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        before = private()
        for i in np.random.default_rng(0).permutation(len(dataset)):
            dataset.get_data_info(int(i))
        os.write(writer, str(private() - before).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert size > 8e6 and int(os.read(reader, 100)) < size / 4
    os.close(reader)
    os.close(writer)
