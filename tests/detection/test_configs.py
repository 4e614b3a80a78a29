"""The configs of detectors build, and mmdet's take our backbones."""

import pytest
import torch

from .building import CONFIGS, build

PATHS = sorted(CONFIGS.glob('*.py'))


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_config(path):
    """Oracle: no unknown key; the neck has the backbone's channels; the
    detector builds. An adaptive one has as many pools as its config says, a
    fixed one no slimmable layer."""
    from pss.apis import load_config
    from pss.config import check_detector
    from pss.models import SlimmableConv2d, SupernetDetector
    from pss.registry import HOOKS, check_config
    from pss.resources import Flops
    from pss.sampling import place_budgets
    config = load_config(path)
    check_config(config)
    if 'fixed' in path.stem:
        check_detector(config)
    given = config.model.backbone.init_cfg
    assert given.type == 'Pretrained'
    assert given.checkpoint.startswith('bank://')
    config.model.backbone.init_cfg = None
    model = build(config.model)
    assert isinstance(model, SupernetDetector) == ('adaptive' in path.stem)
    if 'fixed' in path.stem:
        assert not any(isinstance(m, SlimmableConv2d) for m in model.modules())
        return
    hook = HOOKS.build(config.default_hooks.pss_sampler)
    # counted on small images, since counting at full size takes minutes
    costed = model.costed
    costed.input_size = tuple(side // 4 for side in costed.input_size)
    budgets = place_budgets(hook.budgets, {'flops': Flops().table(costed)})
    assert len(budgets['flops']
               ) == config.default_hooks.pss_sampler.budgets.flops.pools


def test_every_pair_of_detector_and_backbone_has_a_config():
    """Oracle: the list in docs/detection.md."""
    wanted = {
        f'{detector}_{network}_fpn_coco_{kind}'
        for detector in ('retinanet', 'faster-rcnn')
        for network in ('mbv1', 'mbv2', 'r50')
        for kind in ('fixed', 'adaptive')
    }
    wanted |= {
        f'{name}_{kind}'
        for kind in ('fixed', 'adaptive')
        for name in ('ssdlite_mbv2_coco', 'retinanet_mbv2_fashion_mnist')
    }
    assert {path.stem for path in PATHS} == wanted


@pytest.mark.parametrize(
    'base',
    ['retinanet_r50_fpn', 'faster-rcnn_r50_fpn', 'cascade-rcnn_r50_fpn'])
def test_users_config_with_another_backbone_trains(base, garments, tmp_path):
    """Oracle: MMEngine's own Runner, on mmdet's base config with only backbone
    and neck channels changed: after two iterations all of the backbone's
    weights are finite, and exactly those that are not frozen changed."""
    from mmengine.config import Config
    from mmengine.hooks import Hook
    from mmengine.runner import Runner
    text = f'''
_base_ = ['mmdet::_base_/models/{base}.py',
          'mmdet::_base_/datasets/coco_detection.py',
          'mmdet::_base_/schedules/schedule_1x.py',
          'mmdet::_base_/default_runtime.py']
custom_imports = dict(imports=['pss'])
model = dict(
    backbone=dict(type='pss.SlimmableMobileNetV2', _delete_=True,
                  out_indices=(1, 2, 4, 6), frozen_stages=1, norm_eval=True),
    neck=dict(in_channels=[24, 32, 96, 320]))
'''
    path = tmp_path / 'user.py'
    path.write_text(text)
    config = Config.fromfile(path)
    config.work_dir = str(tmp_path / 'work')
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
    config.val_cfg = config.val_dataloader = config.val_evaluator = None
    config.test_cfg = config.test_dataloader = config.test_evaluator = None
    config.train_dataloader.update(num_workers=0, persistent_workers=False)
    config.train_dataloader.dataset.update(
        data_root=str(garments),
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/'),
        filter_cfg=dict(min_size=1),
        metainfo=dict(classes=('T-shirt/top', 'Trouser')))
    # mmdet's recipe would enlarge the small images to 800 pixels
    config.train_dataloader.dataset.pipeline[2].scale = (128, 128)
    config.param_scheduler[0].update(start_factor=1.)
    config.experiment_name = base
    runner = Runner.from_cfg(config)
    before = {}

    class Remember(Hook):
        """Keeps a copy of the initial weights."""

        def before_train(self, runner):
            before.update({
                k: v.clone()
                for k, v in runner.model.backbone.named_parameters()
            })

    runner.register_hook(Remember())
    runner.train()
    frozen = ('conv1.', 'layer1.')
    for name, value in runner.model.backbone.named_parameters():
        if name.startswith('conv2.'):
            continue  # not used: it comes after the last of out_indices
        assert value.isfinite().all()
        changed = not torch.equal(value, before[name])
        assert changed != name.startswith(frozen), name
