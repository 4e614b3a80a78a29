"""Fields of a config that follow from its data."""

import pytest

from pss.apis import init_model, load_config
from pss.cli import merge_options
from pss.config import fill_from_data, needs_data
from pss.errors import InputError

from ..images import write_folder
from ..paths import ROOT

FOLDER = ROOT / 'configs' / 'pss_mbv2_folder.py'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader',
           'val_cfg.calibration_dataloader', 'test_cfg.calibration_dataloader',
           'test_cfg.selection_dataloader')


def config_of(data_root, **options):
    config = load_config(FOLDER)
    merge_options(config, dict(options, data_root=str(data_root)))
    return config


def loaders(config):
    for name in LOADERS:
        part = config
        for key in name.split('.'):
            part = part[key]
        yield part


def test_a_folder_of_small_images(class_folder):
    """Oracle: the numbers of classes and pixels of the data; for 28 pixels the
    space and the strides of the demo's config."""
    config = config_of(class_folder)
    assert needs_data(config)
    fill_from_data(config)
    assert not needs_data(config)
    assert config.model.head.num_classes == 3
    assert config.data_preprocessor.num_classes == 3
    demo = load_config(ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py')
    assert config.model.backbone.search_space == \
        demo.model.backbone.search_space
    assert tuple(config.model.backbone.strides) == demo.model.backbone.strides
    assert config.param_scheduler[1].T_max == config.train_cfg.max_epochs == 20
    for loader in loaders(config):
        dataset = loader.dataset
        assert dataset.data_root == str(class_folder)
        assert (dataset.held_out, dataset.test, dataset.seed) == (0.1, 0.1, 0)
        sizes = [
            step.get('scale', step.get('crop_size'))
            for step in dataset.pipeline
        ]
        assert {size for size in sizes if size is not None} == {28}
    assert init_model(config).head.num_classes == 3


def test_a_folder_of_large_images(tmp_path):
    """Oracle: the paper's space, strides and test images."""
    folder = write_folder(tmp_path / 'data', num=3, size=300)
    config = config_of(folder)
    fill_from_data(config)
    imagenet = load_config(ROOT / 'configs' / 'pss_mbv2_imagenet.py')
    assert config.model.backbone.search_space == \
        imagenet.model.backbone.search_space
    assert config.model.backbone.strides is None
    steps = {
        step.type: step
        for step in config.test_dataloader.dataset.pipeline
    }
    assert steps['ResizeEdge'].scale == 256
    assert steps['CenterCrop'].crop_size == 224


def test_values_are_kept(class_folder):
    """Oracle: what was given; what follows from the given resolutions."""
    config = config_of(
        class_folder, **{
            'data.held_out': 0.3,
            'data.seed': 5,
            'train_cfg.max_epochs': 7,
            'model.backbone.search_space.resolutions': [128, 160],
            'train_dataloader.dataset.pipeline.1.scale': 192,
        })
    fill_from_data(config)
    assert config.model.backbone.search_space.resolutions == [128, 160]
    assert config.model.backbone.strides is None
    assert config.param_scheduler[1].T_max == 7
    assert config.train_dataloader.dataset.pipeline[1].scale == 192
    assert config.test_dataloader.dataset.pipeline[2].crop_size == 160
    assert {(d.dataset.held_out, d.dataset.seed)
            for d in loaders(config)} == {(0.3, 5)}
    filled = config.to_dict()
    fill_from_data(config)
    assert config.to_dict() == filled


def test_a_written_config_works(class_folder, tmp_path):
    """Oracle: the config that was filled; the model builds without the data."""
    config = config_of(class_folder)
    fill_from_data(config)
    config.dump(tmp_path / 'config.py')
    read = load_config(tmp_path / 'config.py')
    assert read.to_dict() == config.to_dict()
    for loader in loaders(read):
        loader.dataset.data_root = 'nothing'
    assert init_model(read).head.num_classes == 3


@pytest.mark.parametrize('options, words', [
    (dict(data_root=None), 'data_root=None: .*--cfg-options data_root=MY_F'),
    (dict(data_root='nothing'), "data_root='nothing': no such folder"),
    ({
        'data.held_ou': 0.2
    }, "data: unknown key 'held_ou' .*'held_out'"),
    ({
        'data.skip_broken': 1
    }, 'data.skip_broken=1: expected True or False'),
    ({
        'data.check': 'all'
    }, "data.check='all': expected one of 'headers'"),
    (dict(data=3), 'data=3: expected a dict'),
    ({
        'model.head.num_classes': 10
    }, 'num_classes=10: expected 3, the number of '
     'class folders in'),
])
def test_bad_values(class_folder, options, words):
    """Oracle: the field, its value and what was expected."""
    config = load_config(FOLDER)
    config.data_root = str(class_folder)
    config.merge_from_dict(options)
    with pytest.raises(InputError, match=words):
        fill_from_data(config)


def other_data(path, test=None, **dataset):
    """The folder's config with other data."""
    path.write_text(f'_base_ = {str(FOLDER)!r}\n'
                    f'train_set = dict(_delete_=True, **{dataset!r})\n'
                    'for_all = dict(dataset=train_set)\n'
                    f'test_set = dict(_delete_=True, **{test or dataset!r})\n'
                    'train_dataloader = val_dataloader = for_all\n'
                    'test_dataloader = dict(dataset=test_set)\n'
                    'val_cfg = dict(calibration_dataloader=for_all)\n'
                    'test_cfg = dict(calibration_dataloader=for_all,\n'
                    '                selection_dataloader=for_all)\n')
    return load_config(path)


@pytest.mark.parametrize('labels, classes, num',
                         [((0, 1, 1), ['a', 'b', 'c'], 3),
                          ((0, 4, 1), None, 5)])
def test_an_annotation_file(class_folder, tmp_path, labels, classes, num):
    """Oracle: the names of classes that are given, or all labels in the file,
    though the largest is not trained."""
    (tmp_path / 'list.txt').write_text('\n'.join(
        f'ant/0{i}.png {label}' for i, label in enumerate(labels)))
    dataset = dict(
        type='CustomDataset',
        data_prefix=str(class_folder),
        ann_file=str(tmp_path / 'list.txt'),
        classes=classes,
        pipeline=[dict(type='CenterCrop', crop_size=None)])
    config = other_data(
        tmp_path / 'config.py',
        type='pss.HeldOutSplit',
        every=2,
        held_out=False,
        dataset=dataset,
        test=dict(dataset, test_mode=True))
    fill_from_data(config)
    assert config.model.head.num_classes == num
    assert config.model.backbone.search_space.resolutions.stop == 28
    assert config.test_dataloader.dataset.pipeline[0].crop_size == 28


def test_several_labels(class_folder, tmp_path):
    """Oracle: the classes in the annotation file."""
    (tmp_path / 'list.json').write_text(
        '{"metainfo": {"classes": ["a", "b", "c", "d"]}, "data_list": '
        '[{"img_path": "ant/00.png", "gt_label": [0, 2]}]}')
    config = other_data(
        tmp_path / 'config.py',
        type='MultiLabelDataset',
        data_root=str(class_folder),
        ann_file=str(tmp_path / 'list.json'))
    fill_from_data(config)
    assert config.model.head.num_classes == 4


def test_without_labels(class_folder, tmp_path):
    """Oracle: the field and the dataset in the message."""
    config = other_data(
        tmp_path / 'config.py',
        type='CustomDataset',
        data_root=str(class_folder),
        with_label=False)
    with pytest.raises(InputError, match='num_classes=None: .* CustomDataset '):
        fill_from_data(config)
