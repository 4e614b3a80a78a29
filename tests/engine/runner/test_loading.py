import pytest
from mmengine.runner import Runner
from mmpretrain.datasets import CustomDataset

from pss.apis import load_config
from pss.errors import InputError

from ...paths import ROOT
from ...training import shrink, simplify


def test_labels_beyond_the_classes(tiny_config):
    """Oracle: the labels go up to 9; field and numbers in the message, for
    training and for each loop, before anything is loaded."""
    tiny_config.model.head.num_classes = 5
    runner = Runner.from_cfg(tiny_config)
    for name, field in (('val_loop', 'val_dataloader'), ('test_loop',
                                                         'test_dataloader')):
        with pytest.raises(
                InputError,
                match=f'^{field}: image .*gt_label=[5-9'
                ']: expected 0 to 4, since .*num_classes=5'):
            getattr(runner, name)
    with pytest.raises(InputError, match='^train_dataloader: image .*gt_label'):
        runner.train()


@pytest.fixture
def images_config(tiny_imagenet, tmp_path):
    """A small config on JPEG files: one list of images for each loader."""
    config = load_config(ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py')
    simplify(shrink(config, tmp_path, tmp_path / 'work', batch_size=4))
    names = (tiny_imagenet / 'meta' / 'train.txt').read_text().splitlines()
    names = [line.split()[0] for line in names]
    loaders = dict(
        train_dataloader=config.train_dataloader,
        val_dataloader=config.val_dataloader,
        test_dataloader=config.test_dataloader)
    loaders.update({
        f'test_cfg.{key}': config.test_cfg[key]
        for key in ('calibration_dataloader', 'selection_dataloader')
    })
    loaders['val_cfg.calibration_dataloader'] = \
        config.val_cfg.calibration_dataloader
    for field, loader in loaders.items():
        copies = tmp_path / field
        copies.mkdir()
        for i, name in enumerate(names[:8]):
            (copies / f'{i}.JPEG').write_bytes(
                (tiny_imagenet / 'train' / name).read_bytes())
        (copies / 'list.txt').write_text(''.join(f'{i}.JPEG {i}\n'
                                                 for i in range(8)))
        loader.dataset = dict(
            type='CustomDataset',
            data_root=str(copies),
            ann_file='list.txt',
            data_prefix='',
            metainfo=dict(classes=tuple('abcdefghij')),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='Resize', scale=28),
                dict(type='PackInputs')
            ])
    config.train_cfg.max_epochs = 1
    return config


@pytest.mark.parametrize('field, workers',
                         [('train_dataloader', 0), ('train_dataloader', 1),
                          ('val_cfg.calibration_dataloader', 0),
                          ('test_cfg.selection_dataloader', 1),
                          ('test_dataloader', 0)])
def test_a_damaged_image(images_config, tmp_path, field, workers):
    """Oracle: one line: the field and the file, wherever it is loaded."""
    path = tmp_path / field / '5.JPEG'
    path.write_bytes(path.read_bytes()[:2000])
    part = images_config
    for key in field.split('.'):
        part = part[key]
    part.num_workers = workers
    images_config.val_cfg.calibration_batches = 2  # all images
    runner = Runner.from_cfg(images_config)
    with pytest.raises(InputError) as error:
        if field == 'train_dataloader':
            runner.train()
        loop = getattr(runner, f'{field[:4].rstrip("_")}_loop')
        if 'calibration' in field:
            loop.calibrate([loop.model.search_space.smallest])
        loop.evaluate({},
                      loop.selection_dataloader
                      if 'selection' in field else loop.dataloader,
                      'images',
                      hooks=False)
    assert str(error.value).startswith(f'{field}: {path}: ')
    assert '\n' not in str(error.value)


def test_that_a_run_reads_each_list_once(images_config, monkeypatch):
    """Oracle: how often the class reads a list, for five loaders of the two
    parts of one list and a sixth of another; and the arrays they have."""
    listed = images_config.train_dataloader.dataset
    for loader, held_out in ((images_config.train_dataloader, False),
                             (images_config.val_cfg.calibration_dataloader,
                              False),
                             (images_config.test_cfg.calibration_dataloader,
                              False), (images_config.val_dataloader, True),
                             (images_config.test_cfg.selection_dataloader,
                              True)):
        loader.dataset = dict(
            type='pss.HeldOutSplit',
            dataset=dict(listed, pipeline=loader.dataset.pipeline),
            every=4,
            held_out=held_out)
    reads = []
    load = CustomDataset.load_data_list
    monkeypatch.setattr(CustomDataset, 'load_data_list',
                        lambda self: reads.append(self.ann_file) or load(self))
    runner = Runner.from_cfg(images_config)
    training = runner.build_train_loop(images_config.train_cfg)
    loops = training, runner.val_loop, runner.test_loop
    assert len(reads) == len(set(reads)) == 2
    arrays = [
        loader.dataset.data_bytes
        for loader in (*(loop.calibration_dataloader
                         for loop in loops[1:]), runner.val_loop.dataloader,
                       runner.test_loop.selection_dataloader)
    ]
    arrays.append(training.dataloader.dataset.dataset.data_bytes)
    assert arrays[0] is arrays[1] is arrays[4]
    assert arrays[2] is arrays[3]
    assert [len(loop.dataloader.dataset) for loop in loops] == [6, 2, 8]
