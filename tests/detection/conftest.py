"""Fixtures of the tests of detectors: a small one, tiny data, a bank."""

import copy
import subprocess
import sys
import uuid

import pytest
import torch

from ..conftest import ROOT, random_bank, randomise_statistics

CONFIGS = ROOT / 'configs' / 'detection'
# MobileNetV2 with the demo's strides: its last features are 16 pixels apart
BACKBONE = dict(
    type='pss.SlimmableMobileNetV2',
    strides=(2, 1, 1, 2, 2, 1, 2, 1),
    search_space=dict(resolutions=[24, 28]))


def fixed_config():
    """The config of a RetinaNet with two levels over the whole backbone."""
    from pss.apis import load_config
    config = load_config(CONFIGS / 'retinanet_mbv2_fashion_mnist_fixed.py')
    config.model.backbone.pop('subnet')
    config.model.backbone.init_cfg = None
    config.model.neck.in_channels = [96, 320]
    return config


def adaptive_config():
    """The config of an adaptive RetinaNet with random weights."""
    from pss.apis import load_config
    config = load_config(CONFIGS / 'retinanet_mbv2_fashion_mnist_adaptive.py')
    config.model.backbone.init_cfg = None
    return config


def build(model, seed=0):
    """Builds a detector with random weights, in evaluation mode."""
    from mmengine.registry import DefaultScope

    import pss  # noqa: F401 (the registries)
    from pss.registry import MODELS
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = MODELS.build(copy.deepcopy(model))
        built.init_weights()
    randomise_statistics(built)
    return built.eval()


@pytest.fixture
def adaptive():
    """A small adaptive detector with random weights."""
    return build(adaptive_config().model)


def detector_bank(config):
    """A detector with random weights, and its bank: the ends of its space, with
    statistics of random images."""
    from pss.deploy import Bank, KeptSubnet
    from pss.deploy.bank_hook import kept_config, weights_of
    from pss.models import calibrate
    model = build(config.model)
    space, size = model.search_space, model.input_size
    ends = dict(smallest=space.smallest, largest=space.largest)
    return model, Bank(
        model=kept_config(config),
        classes=None,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=list(size[::-1]), keep_ratio=True),
            dict(type='PackDetInputs')
        ],
        input_shape=(3, *size),
        resources=dict(flops='MFLOPs'),
        metric='bbox_mAP',
        kept=tuple(
            KeptSubnet(name, subnet, dict(flops=float(i)), float(i))
            for i, (name, subnet) in enumerate(ends.items(), 1)),
        weights=weights_of(model),
        statistics=calibrate(model, list(ends.values()),
                             [torch.randn(4, 3, *size)]),
        samples=torch.zeros((0, 0, 0, 0), dtype=torch.uint8))


def samples(num=2, size=96, classes=10, seed=0):
    """Images and annotations such as a detector's preprocessing returns."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData
    rng = torch.Generator().manual_seed(seed)
    found = []
    for i in range(num):
        corner = torch.rand(3, 2, generator=rng) * (size - 50)
        side = 20 + torch.rand(3, 2, generator=rng) * 25
        sample = DetDataSample(
            metainfo=dict(
                img_id=i,
                img_shape=(size, size),
                ori_shape=(size, size),
                pad_shape=(size, size),
                batch_input_shape=(size, size),
                scale_factor=(1., 1.)))
        sample.gt_instances = InstanceData(
            bboxes=torch.cat([corner, corner + side], 1),
            labels=torch.randint(classes, (3, ), generator=rng))
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
        found.append(sample)
    return torch.randn(num, 3, size, size, generator=rng), found


@pytest.fixture(scope='session')
def classification_bank(tmp_path_factory):
    """The folder of a MobileNetV2 classifier's bank, its supernet, the bank."""
    from pss.deploy import write_bank
    folder = tmp_path_factory.mktemp('banks') / 'classifier'
    model, bank = random_bank(num=2, **BACKBONE)
    write_bank(bank, folder)
    return folder, model, bank


@pytest.fixture(scope='session')
def garments(tmp_path_factory, tiny_fashion_mnist):
    """The folder of a small dataset in COCO's format: 48, 12 and 16 images."""
    folder = tmp_path_factory.mktemp('data') / 'garments'
    subprocess.run([
        sys.executable, '-W', 'ignore',
        str(ROOT / 'tools/dataset_converters/fashion_mnist_detection.py'),
        '--source',
        str(tiny_fashion_mnist), '--out',
        str(folder), '--num', '48', '12', '16'
    ],
                   check=True)
    return folder


def shrink(config, data, work_dir, epochs=1):
    """Points a config at the small data, for a short training in one process.
    """
    config.work_dir = str(work_dir)
    config.launcher = 'none'
    _repoint(config, str(data))
    config.train_dataloader.batch_size = 8
    config.train_cfg.max_epochs = epochs
    config.train_cfg.val_interval = epochs
    config.param_scheduler[-1].T_max = epochs
    for key in ('val_cfg', 'test_cfg'):
        loop = config[key]
        if 'calibration_dataloader' in loop:
            loop.calibration_dataloader.batch_size = 16
            loop.calibration_batches = 2
    config.experiment_name = uuid.uuid4().hex
    return config


def _repoint(part, data):
    """Changes the folder of datasets and annotation files, and removes worker
    processes, in place."""
    old = 'data/fashion_mnist_detection'
    items = part.items() if isinstance(part, dict) or hasattr(part, 'items') \
        else enumerate(part) if isinstance(part, (list, tuple)) else ()
    for key, value in list(items):
        if isinstance(value, str) and value.startswith(old):
            part[key] = value.replace(old, data)
        elif key == 'num_workers':
            part[key] = 0
        else:
            _repoint(value, data)
