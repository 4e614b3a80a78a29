"""Fixtures that tests share: small networks, reference numbers, tiny data."""

import copy
import importlib.util
import json
import os
import uuid
import warnings
from pathlib import Path

import pytest
import torch

from .stress.training import write_imagenet, write_images

# tests run in several processes, each on one core
torch.set_num_threads(1)
warnings.filterwarnings('ignore', message='Fail to import ``MultiScale')

ROOT = Path(__file__).parents[1]
# numbers of the published program; see README, "Tests"
FIXTURES = Path(
    os.environ.get('PSS_FIXTURES', ROOT.parent / 'shared' / 'fixtures'))


def pytest_collection_modifyitems(config, items):
    """Deselects the tests that need MMDetection if it is not installed."""
    if importlib.util.find_spec('mmdet') is not None:
        return
    left = [
        item for item in items
        if ROOT / 'tests' / 'detection' in item.path.parents
    ]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)
    config.needs_mmdet = len(left)
    if hasattr(config, 'workeroutput'):  # in a worker of xdist
        config.workeroutput['needs_mmdet'] = len(left)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Takes the number of deselected tests from a worker of xdist; all have the
    same."""
    node.config.needs_mmdet = getattr(node, 'workeroutput',
                                      {}).get('needs_mmdet', 0)


def pytest_terminal_summary(terminalreporter, config):
    """Prints how many tests were deselected."""
    num = getattr(config, 'needs_mmdet', 0)
    if num:
        terminalreporter.write_line(
            f'{num} tests in tests/detection need MMDetection: '
            '`make test-detection` runs them')


@pytest.fixture(scope='session')
def root():
    """The folder of the checkout."""
    return ROOT


@pytest.fixture(scope='session')
def reference_costs():
    """Subnets, with their costs according to the published program."""
    path = FIXTURES / 'subnet_costs.json'
    if not path.is_file():
        pytest.skip(f'{path} is not there; PSS_FIXTURES names its folder')
    return json.loads(path.read_text())


def classifier_config(type='pss.SlimmableMobileNetV2', **backbone):
    """The config of a supernet with ten classes; MobileNetV2's by default."""
    backbone = dict(type=type, **backbone)
    return dict(
        type='pss.SupernetClassifier',
        backbone=backbone,
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        head=dict(
            type='mmpretrain.LinearClsHead',
            num_classes=10,
            in_channels=1280,
            loss=dict(type='mmpretrain.CrossEntropyLoss')),
        data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor'))


@pytest.fixture
def supernet():
    """A MobileNetV2 supernet for 32 x 32 pixels, with random weights."""
    from pss.models import SupernetClassifier
    torch.manual_seed(0)
    config = classifier_config(search_space=dict(resolutions=[16, 24, 32]))
    config.pop('type')
    model = SupernetClassifier(**config)
    randomise_statistics(model)
    return model


def randomise_statistics(model):
    """Draws running statistics of batch norms at random, in place."""
    for name, buffer in model.named_buffers():
        if name.endswith('running_mean'):
            buffer.normal_(0, 0.1)
        elif name.endswith('running_var'):
            buffer.uniform_(0.5, 1.5)


def random_bank(num=6, classes=None, **backbone):
    """A supernet and its bank of random subnets, with costs in two resources.

    Args:
        num: subnets besides the smallest and the largest.
        classes: names of classes.
        **backbone: the backbone's config; a ResNet of one stage by default.
    """
    import numpy as np

    from pss.deploy import Bank, KeptSubnet
    from pss.deploy.bank_hook import versions, weights_of
    from pss.models import calibrate
    from pss.registry import MODELS
    from pss.resources import flops_table
    config = classifier_config(**(backbone or SMALL_RESNET))
    features = dict(MobileNetV2=1280, MobileNetV1=1024)
    config['head']['in_channels'] = features.get(
        config['backbone']['type'].replace('pss.Slimmable', ''),
        2048 if config['backbone'].get('depth') == 50 else 32)
    config['data_preprocessor'] = dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[120., 110., 100.],
        std=[60., 50., 40.],
        to_rgb=True)
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(config)).eval()
    for name, parameter in model.named_parameters():
        if name.endswith('bn3.weight'):
            # 16 branches as strong as their shortcuts magnify the rounding of
            # float32 a thousandfold; trained ones are weak
            parameter.data.fill_(0.2)
    rng = np.random.default_rng(0)
    space, size = model.search_space, model.search_space.largest.resolution
    subnets = [
        space.smallest, *space.decode(space.random(rng, num)), space.largest
    ]
    statistics = calibrate(model, list(dict.fromkeys(subnets)),
                           [torch.randn(64, 3, size, size)])
    flops = flops_table(model)(space.encode(subnets))
    latency = rng.permutation(flops) * 100  # in another order than FLOPs
    accuracy = rng.permutation(len(subnets)) + 50.
    names = ['smallest', *range(num), 'largest']
    kept = [
        KeptSubnet(
            name if isinstance(name, str) else f'flops {name}', subnet,
            dict(flops=float(f), latency_cpu=float(t)), float(a),
            float(a) - 1,
            *((None, None) if isinstance(name, str) else
              ('flops', float(name)))) for name, subnet, f, t, a in zip(
                  names, subnets, flops, latency, accuracy)
    ]
    return model, Bank(
        model=config,
        classes=classes,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                type='ResizeEdge',
                scale=size + 4,
                edge='short',
                backend='pillow'),
            dict(type='CenterCrop', crop_size=size),
            dict(type='PackInputs')
        ],
        input_shape=(3, size, size),
        resources=dict(flops='MFLOPs', latency_cpu='us'),
        metric='top1',
        kept=tuple(kept),
        weights=weights_of(model),
        statistics=statistics,
        samples=torch.randint(256, (2, 3, size, size), dtype=torch.uint8),
        versions=versions())


SMALL_RESNET = dict(
    type='pss.SlimmableResNet',
    depth=18,
    num_stages=1,
    out_indices=(0, ),
    strides=(1, ),
    dilations=(1, ),
    stem_channels=32,
    base_channels=32,
    search_space=dict(resolutions=[16, 20, 24]))

# the three networks of the configs, at small resolutions
NETWORKS = {
    'mbv1':
    dict(
        type='pss.SlimmableMobileNetV1',
        search_space=dict(resolutions=[24, 32])),
    'mbv2':
    dict(
        type='pss.SlimmableMobileNetV2',
        search_space=dict(resolutions=[24, 32])),
    'r50':
    dict(
        type='pss.SlimmableResNet',
        depth=50,
        zero_init_residual=False,
        search_space=dict(resolutions=[48, 64])),
}


@pytest.fixture(scope='session')
def bank(tmp_path_factory):
    """The folder of a small bank, which tests must not change."""
    from pss.deploy import write_bank
    folder = tmp_path_factory.mktemp('banks') / 'bank'
    write_bank(random_bank(classes=tuple('abcdefghij'))[1], folder)
    return folder


@pytest.fixture(scope='session')
def imagenet_model():
    """The supernet of ``configs/pss_mbv2_imagenet.py``."""
    from pss.apis import init_model
    return init_model(ROOT / 'configs' / 'pss_mbv2_imagenet.py')


@pytest.fixture(scope='session')
def imagenet_flops(imagenet_model):
    """The cost table of ``imagenet_model``."""
    from pss.resources import flops_table
    return flops_table(imagenet_model)


def batch(num=4, size=32, classes=10, seed=0):
    """A batch such as a dataloader returns."""
    from mmpretrain.structures import DataSample
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(num, 3, size, size, generator=rng)
    labels = torch.randint(classes, (num, ), generator=rng)
    samples = [DataSample().set_gt_label(int(label)) for label in labels]
    return dict(inputs=images, data_samples=samples)


@pytest.fixture(scope='session')
def tiny_fashion_mnist(tmp_path_factory):
    """A folder in Fashion-MNIST's format: 120 training, 30 test images."""
    folder = tmp_path_factory.mktemp('fashion_mnist')
    write_images(folder)
    return folder


@pytest.fixture
def tiny_config(tiny_fashion_mnist, tmp_path):
    """The demo's config on the tiny data: 3 epochs of 6 iterations."""
    from pss.apis import load_config
    config = load_config(ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py')
    return shrink(config, tiny_fashion_mnist, tmp_path / 'work')


def shrink(config, data_root, work_dir, batch_size=18):
    """Points a config at other data, for a short training in one process."""
    config.work_dir = str(work_dir)
    config.launcher = 'none'
    loaders = [
        config.train_dataloader, config.val_dataloader, config.test_dataloader,
        config.val_cfg.calibration_dataloader,
        config.test_cfg.calibration_dataloader,
        config.test_cfg.selection_dataloader
    ]
    for loader in loaders:
        loader.num_workers = 0
        loader.batch_size = batch_size
        dataset = loader.dataset
        while 'data_root' not in dataset:
            dataset = dataset.dataset
        dataset.data_root = str(data_root)
    config.optim_wrapper.optimizer.lr = 0.01
    config.param_scheduler = config.param_scheduler[-1]  # without a warm-up
    # tests that need a bank or ranked pools set them
    config.default_hooks.pop('bank')
    config.val_cfg.ranked_pools = 0
    config.val_cfg.calibration_batches = 1
    config.test_cfg.calibration_batches = 2
    return config


def train(config, **changes):
    """Trains with MMEngine's Runner and returns it."""
    from mmengine.runner import Runner
    config.merge_from_dict(changes)
    # MMEngine keeps logs and messages by this name
    config.experiment_name = uuid.uuid4().hex
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def save_run(path, iteration, **changes):
    """Writes a checkpoint with what finding and resuming a run look for."""
    content = dict(
        meta=dict(epoch=1, iter=iteration),
        optimizer={},
        message_hub={},
        state_dict={'weight': torch.arange(10_000.)})
    torch.save({**content, **changes}, path)
    return path


@pytest.fixture(scope='session')
def tiny_imagenet(tmp_path_factory, tiny_fashion_mnist):
    """A folder in ImageNet's layout, of JPEG files made from the tiny images:
    24 training and 10 validation images of 3 sizes."""
    root = tmp_path_factory.mktemp('data') / 'imagenet'
    write_imagenet(root, tiny_fashion_mnist)
    return root
