"""Converted backbones from training to exported networks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pss.apis import AdaptiveClassifier, DeviceExporter
from pss.deploy import read_bank
from pss.deploy.exporter import Exporter
from pss.errors import InputError
from pss.registry import MODELS
from pss.runtime import AdaptiveSession

from ..training import train


@MODELS.register_module(force=True)
class Plain(nn.Module):
    """A network in plain torch, registered so that a bank can name it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.scale = nn.Parameter(torch.ones(1, 16, 1, 1))
        self.second = nn.Conv2d(16, 24, 3, 2, 1)

    def forward(self, x):
        """Features ``(N, 24, H / 4, W / 4)``."""
        return self.second(self.first(x) * self.scale)


KINDS = dict(
    resnet=dict(
        type='mmpretrain.ResNet',
        depth=18,
        stem_channels=8,
        base_channels=8,
        num_stages=2,
        strides=(1, 2),
        dilations=(1, 1),
        out_indices=(1, )),
    resnext=dict(
        type='mmpretrain.ResNeXt',
        depth=50,
        groups=2,
        width_per_group=4,
        base_channels=8,
        num_stages=1,
        strides=(1, ),
        dilations=(1, ),
        out_indices=(0, )),
    mobilenet_v3=dict(type='mmpretrain.MobileNetV3', arch='small_050'),
    convnext=dict(
        type='mmpretrain.ConvNeXt',
        arch='atto',
        stem_patch_size=2,
        gap_before_final_norm=False),
    vgg=dict(
        type='mmpretrain.VGG',
        depth=11,
        num_stages=3,
        dilations=(1, 1, 1),
        out_indices=(2, ),
        norm_cfg=dict(type='BN')),
    plain=dict(type='Plain'))
FEATURES = dict(
    resnet=16, resnext=32, mobilenet_v3=288, convnext=320, vgg=256, plain=24)


@pytest.mark.parametrize('kind', list(KINDS))
def test_from_training_to_onnx(tiny_config, tmp_path, kind):
    """Oracle: the test loop's accuracies, and the supernet's logits, which the
    exporter compares exported networks with."""
    tiny_config.model.backbone = dict(
        type='pss.SlimmableBackbone',
        backbone=KINDS[kind],
        search_space=dict(
            resolutions=[24, 28], multipliers=(0.5, 1.), divisor=4))
    tiny_config.model.head.in_channels = FEATURES[kind]
    tiny_config.default_hooks.pss_sampler.budgets = dict(flops=dict(pools=2))
    trust = [__name__] if kind == 'plain' else []
    tiny_config.default_hooks.bank = dict(type='pss.BankHook', trust=trust)
    tiny_config.train_cfg.update(max_epochs=1, val_interval=2)
    tiny_config.train_dataloader.batch_size = 50
    tiny_config.test_cfg.candidates = 1
    runner = train(tiny_config)
    folder = Path(runner.work_dir, 'bank')
    if trust:
        with pytest.raises(InputError, match='trust='):
            read_bank(folder)
    bank = read_bank(folder, trust=trust)
    results = runner.test_loop.results
    rows = [results['smallest'], *results['pools'], results['largest']]
    assert [kept.test_accuracy
            for kept in bank.kept] == [row['top1'] for row in rows]
    net = AdaptiveClassifier(folder, trust=trust)
    dataset = runner.test_loop.dataloader.dataset
    images = [dataset.get_data_info(i)['img'] for i in range(len(dataset))]
    labels = [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]
    exporter = Exporter(bank, trust=trust)
    for kept in (bank.kept[0], bank.kept[-1]):
        net.switch(kept)
        found = [p['pred_label'] for p in net.predict(images)]
        accuracy = 100 * np.mean(np.equal(found, labels))
        assert accuracy == pytest.approx(kept.test_accuracy, abs=1e-4)
    # exporters compare with the supernet
    exporter.export(bank.kept[0], 'torch', tmp_path / 'torch')
    DeviceExporter(bank, trust=trust).export(tmp_path / 'device')
    session = AdaptiveSession(tmp_path / 'device')
    session.switch(net.active.name)
    assert [p['pred_label'] for p in session.predict(images)] == found
