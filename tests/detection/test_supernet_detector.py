"""The adaptive detector."""

import copy

import numpy as np
import pytest
import torch

from .building import adaptive_config, build, samples


def test_state_has_mmdets_keys(adaptive):
    """Oracle: the plain detector of the same config; states load in both
    directions, with torch's own and with MMEngine's way of loading."""
    from mmengine.runner import load_state_dict
    config = adaptive_config().model
    for key in ('input_size', 'detector', 'channels_last'):
        config.pop(key)
    config.type = 'mmdet.RetinaNet'
    plain = build(config, seed=1)
    theirs, mine = plain.state_dict(), adaptive.state_dict()
    assert {k: v.shape for k, v in theirs.items()} == \
        {k: v.shape for k, v in mine.items()}
    adaptive.load_state_dict(theirs, strict=True)
    images, annotations = samples()
    with torch.no_grad():
        wanted = plain(images, mode='tensor')
        for one, other in zip(wanted, adaptive(images, mode='tensor')):
            for a, b in zip(one, other):
                torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    load_state_dict(plain, mine, strict=True)
    assert all(torch.equal(v, mine[k]) for k, v in plain.state_dict().items())


def test_iteration_sums_the_gradients_of_three_passes(adaptive):
    """Oracle: the hand-summed gradient of the three losses, each of a copy of
    the detector; the score is the sampled pass's detection loss."""
    from mmengine.optim import build_optim_wrapper

    from pss.models.detectors.distillation import feature_divergence
    from pss.sampling.prioritized import Pass
    images, annotations = samples()
    space = adaptive.search_space
    sampled = space.decode(space.random(np.random.default_rng(3), 1))[0]
    plan = [
        Pass('largest', space.largest),
        Pass('sampled', sampled),
        Pass('smallest', space.smallest)
    ]
    other = copy.deepcopy(adaptive).train()
    total, teacher, tasks = 0, None, {}
    for name, subnet, _ in plan:
        other.switch_to(subnet)
        scale = subnet.resolution / space.largest.resolution
        assert other.scale == scale
        size = round(96 * scale)
        small = torch.nn.functional.interpolate(
            images, (size, size), mode='bilinear')
        scaled = copy.deepcopy(annotations)
        for sample in scaled:
            sample.gt_instances.bboxes = sample.gt_instances.bboxes * size / 96
            sample.set_metainfo(
                dict(
                    img_shape=(size, size),
                    pad_shape=(size, size),
                    batch_input_shape=(size, size)))
        features = other.detector.extract_feat(small)
        losses = other.detector.bbox_head.loss(features, scaled)
        loss, _ = other.parse_losses(losses)
        tasks[name] = loss.item()
        if teacher is None:
            teacher = [f.detach() for f in features]
        else:
            loss = loss + feature_divergence(teacher, features)
        total = total + loss
    total.backward()
    wanted = {n: p.grad for n, p in other.named_parameters()}

    wrapper = build_optim_wrapper(
        adaptive,
        dict(
            type='pss.SandwichOptimWrapper', optimizer=dict(type='SGD', lr=0.)))
    wrapper.plan = plan
    wrapper.zero_grad = lambda **kwargs: None
    adaptive.train()
    adaptive.data_preprocessor.forward = lambda data, training: data
    log = adaptive.train_step(
        dict(inputs=images, data_samples=annotations), wrapper)
    for name, parameter in adaptive.named_parameters():
        if wanted[name] is None:
            assert parameter.grad is None, name
        else:
            torch.testing.assert_close(
                parameter.grad, wanted[name], atol=1e-4, rtol=1e-4, msg=name)
    assert log['task_sampled'].item() == pytest.approx(tasks['sampled'], 1e-4)
    assert log['loss'].item() == pytest.approx(total.item(), 1e-4)
    assert adaptive.active_subnet == space.largest
    assert annotations[0].img_shape == (96, 96)


def test_boxes_come_back_at_the_images_scale(adaptive):
    """Oracle: the plain detector on images scaled by hand, its boxes divided
    by the scale; samples keep their own meta information."""
    images, annotations = samples()
    space = adaptive.search_space
    subnet = type(space.largest)(72, space.largest.widths)
    adaptive.switch_to(subnet)
    small = torch.nn.functional.interpolate(images, (72, 72), mode='bilinear')
    adaptive.detector.bbox_head.test_cfg.score_thr = 0.
    scaled = copy.deepcopy(annotations)
    for sample in scaled:
        sample.set_metainfo(
            dict(
                img_shape=(72, 72),
                pad_shape=(72, 72),
                batch_input_shape=(72, 72),
                scale_factor=(0.75, 0.75)))
    with torch.no_grad():
        wanted = adaptive.detector.predict(small, scaled)
        found = adaptive(images, annotations, mode='predict')
    for one, other in zip(wanted, found):
        assert len(one.pred_instances) == len(other.pred_instances) > 0
        torch.testing.assert_close(one.pred_instances.bboxes,
                                   other.pred_instances.bboxes)
        assert one.pred_instances.bboxes.max() > 72
    assert found[0] is annotations[0]
    assert found[0].img_shape == (96, 96)
    assert found[0].scale_factor == (1., 1.)


def test_calibration_covers_head_and_neck():
    """Oracle: the mean of the batches' statistics, computed by hand with hooks
    at each norm; in a head that levels share, each level counts."""
    from pss.models import calibrate
    config = adaptive_config().model
    norm = dict(type='BN', requires_grad=True)
    config.neck.norm_cfg = config.bbox_head.norm_cfg = norm
    model = build(config)
    assert {name.split('.')[0]
            for name in model.norms} == {'backbone', 'neck', 'bbox_head'}
    space = model.search_space
    batches = [torch.randn(4, 3, 96, 96) for _ in range(2)]
    found = calibrate(model, [space.largest, space.smallest], batches)
    for subnet in (space.largest, space.smallest):
        seen = {name: [] for name in model.norms}
        hooks = [
            module.register_forward_pre_hook(lambda m, args, values=seen[
                name]: values.append(torch.var_mean(args[0], (0, 2, 3))))
            for name, module in model.norms.items()
        ]
        model.switch_to(subnet)
        for module in model.norms.values():
            module.train()
        with torch.no_grad():
            for batch in batches:
                model.run_norms(batch)
        model.eval()
        for hook in hooks:
            hook.remove()
        for name, values in seen.items():
            assert len(values) == (4 if name.startswith('bbox_head') else 2)
            mean = torch.stack([m for _, m in values]).mean(0)
            var = torch.stack([v for v, _ in values]).mean(0)
            torch.testing.assert_close(
                found[subnet][name][0], mean, atol=1e-4, rtol=1e-3)
            torch.testing.assert_close(
                found[subnet][name][1], var, atol=1e-4, rtol=1e-3)


def test_second_stages_norms_are_calibrated():
    """Oracle: no norm is left out, and none keeps its initial zeros and
    ones."""
    from pss.apis import load_config
    from pss.models import calibrate

    from .building import CONFIGS
    config = load_config(CONFIGS /
                         'faster-rcnn_mbv2_fpn_coco_adaptive.py').model
    config.backbone.init_cfg = None
    config.backbone.search_space = dict(resolutions=[96, 128])
    config.input_size = (128, 160)
    config.roi_head.bbox_head = dict(
        config.roi_head.bbox_head,
        type='ConvFCBBoxHead',
        num_shared_convs=1,
        num_shared_fcs=1,
        norm_cfg=dict(type='BN'),
        conv_out_channels=32,
        fc_out_channels=32)
    model = build(config)
    assert any(name.startswith('roi_head') for name in model.norms)
    [subnet] = calibrate(model, [model.search_space.smallest],
                         [torch.randn(2, 3, 128, 160)]).values()
    assert set(subnet) == set(model.norms)
    assert all(mean.abs().sum() > 0 for mean, _ in subnet.values())


@pytest.mark.parametrize('changes, message', [
    (dict(input_size=(100, 120)), r'input_size=\(100, 120\).*search_space.'
     'resolutions, 96'),
    (dict(input_size=96), 'input_size=96: expected the height and the width'),
    (dict(distillation=-1), 'distillation=-1'),
    (dict(detector='mmdet.Retina'), 'mmdet.Retina.*is not registered'),
    (dict(backbone=dict(norm_eval=True)), 'backbone.norm_eval=True.*expected '
     'False'),
    (dict(backbone=dict(frozen_stages=1)), 'backbone.frozen_stages=1.*expected '
     '-1'),
    (dict(neck=dict(in_channels=[64, 320])), r'FPN.*\[96, 320\] channels'),
    (dict(neck=dict(in_channels=[96, 400])), r'FPN.*\[96, 320\] channels'),
    (dict(neck=dict(in_channels=[96, 320, 320], num_outs=3)),
     r'\[96, 320\] channels'),
])
def test_errors(changes, message):
    """Oracle: the message names the field, its value and what was expected."""
    from pss.errors import InputError
    config = adaptive_config().model
    _merge(config, changes)
    with pytest.raises(InputError, match=message):
        build(config)


def _merge(config, changes):
    for key, value in changes.items():
        if isinstance(value, dict):
            _merge(config[key], value)
        else:
            config[key] = value


def test_unknown_key():
    """Oracle: keys of the wrapper and of the detector are accepted; another is
    refused, and the message suggests the nearest one."""
    from pss.errors import InputError
    from pss.registry import check_config
    config = adaptive_config()
    check_config(config)
    config.model.box_head = dict()
    with pytest.raises(InputError, match="'box_head'.*mean 'bbox_head'"):
        check_config(config)


def test_ssdlite_takes_narrow_features():
    """Oracle: SSDNeck passes the backbone's features on: the head's first
    level has the smallest subnet's 72 channels, and the loss is finite."""
    from pss.apis import load_config

    from .building import CONFIGS
    config = load_config(CONFIGS / 'ssdlite_mbv2_coco_adaptive.py').model
    config.backbone.init_cfg = None
    model = build(config)
    images, annotations = samples(size=320)
    model.switch_to(model.search_space.smallest)
    with torch.no_grad():
        features = model.detector.extract_feat(images)
        assert features[0].shape[1] == 72
        teacher = [
            torch.randn(2, c, 20, 20) for c in (96, 1280, 512, 256, 256, 128)
        ]
        losses, _ = model(images, annotations, mode='pass', teacher=teacher)
    assert losses['loss_distillation'].isfinite() and losses['task'].isfinite()
