"""Detectors' subnets as plain detectors."""

import copy

import numpy as np
import pytest
import torch

from .conftest import CONFIGS, adaptive_config, build, samples


def small_config(name):
    """A detector's config at a size that runs quickly."""
    from pss.apis import load_config
    if name == 'retinanet':
        return adaptive_config().model
    config = load_config(CONFIGS / f'{name}_coco_adaptive.py').model
    config.backbone.init_cfg = None
    config.backbone.search_space = dict(resolutions=[96, 128])
    config.input_size = (128, 128)
    return config


@pytest.mark.parametrize(
    'name',
    ['retinanet', 'faster-rcnn_mbv1_fpn', 'retinanet_r50_fpn', 'ssdlite_mbv2'])
def test_same_boxes_as_the_supernet(name):
    """Oracle: the supernet at that subnet with the same statistics: as many
    boxes, at the same places (1e-4 of a pixel), for the ends of the space and
    a random subnet; nothing slimmable is left in backbone, neck and first
    head; the weights fit what the config builds."""
    from pss.deploy import extract, extracted_config
    from pss.models import SlimmableConv2d, calibrate
    config = small_config(name)
    model = build(config)
    space = model.search_space
    size = model.input_size[0]
    images, annotations = samples(size=size)
    chosen = [
        space.largest, space.smallest,
        *space.decode(space.random(np.random.default_rng(0), 1))
    ]
    statistics = calibrate(model, chosen, [images])
    for subnet in chosen:
        plain_config = extracted_config(config, model, subnet)
        plain = extract(model, plain_config, subnet, statistics[subnet])
        assert not any(isinstance(m, SlimmableConv2d) for m in plain.modules())
        full = subnet.resolution == space.largest.resolution and \
            name != 'ssdlite_mbv2'
        assert plain_config.type.startswith(
            'mmdet.' if full else 'pss.ResizedDetector')
        model.switch_to(subnet, statistics[subnet])
        found = []
        for detector in (model, plain):
            for part in (detector, getattr(detector, 'detector', detector)):
                head = getattr(part, 'roi_head', None) or \
                    getattr(part, 'bbox_head', None)
                if head is not None:
                    head.test_cfg.score_thr = 0.01
            with torch.no_grad():
                results = detector(
                    images, copy.deepcopy(annotations), mode='predict')
            found.append([r.pred_instances for r in results])
        for mine, theirs in zip(*found):
            assert len(mine) == len(theirs) > 0
            torch.testing.assert_close(
                theirs.bboxes, mine.bboxes, atol=1e-4, rtol=0)
            torch.testing.assert_close(
                theirs.scores, mine.scores, atol=1e-5, rtol=0)
            assert torch.equal(theirs.labels, mine.labels)
        rebuilt = build(plain_config)
        rebuilt.load_state_dict(plain.state_dict(), strict=True)
