"""Detecting with a bank: images, and errors."""

import os

import cv2
import numpy as np
import pytest
import torch

from .building import CONFIGS, adaptive_config, detector_bank


@pytest.fixture(scope='module')
def net(tmp_path_factory):
    """An adaptive detector with random weights, from its bank."""
    from pss.apis import AdaptiveDetector
    from pss.deploy import write_bank
    folder = tmp_path_factory.mktemp('detector') / 'bank'
    config = adaptive_config()
    config.model.test_cfg.score_thr = 0.
    _, bank = detector_bank(config)
    write_bank(bank, folder)
    return AdaptiveDetector(folder)


def picture(height=80, width=60):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_paths_and_arrays(net, tmp_path):
    """Oracle: a file and its pixels have the same boxes, in pixels of the
    image, as do floats if nothing rounds them; grey arrays have those of three
    equal channels."""
    for pixels in (picture(), picture(96, 96)):
        file = tmp_path / 'a.png'
        cv2.imwrite(str(file), pixels)
        images = [file, str(file), pixels]
        if pixels.shape[0] == 96:  # not resized
            images += [pixels.astype(np.float64), pixels.astype(np.int16)]
        found = net.predict(images)
        assert [one.img_id for one in found] == list(range(len(images)))
        for one in found:
            assert one.ori_shape == pixels.shape[:2]
            assert len(one.pred_instances)
            assert one.pred_instances.bboxes[:, 2].max() <= pixels.shape[1]
            assert torch.equal(one.pred_instances.bboxes,
                               found[0].pred_instances.bboxes)
    grey = picture()[..., 0]
    one, *others = net.predict([grey, grey[..., None], np.stack(3 * [grey], 2)])
    for other in others:
        assert torch.equal(one.pred_instances.bboxes,
                           other.pred_instances.bboxes)
    assert net.predict([]) == []


@pytest.mark.parametrize('image, message', [
    (None, 'images: NoneType is not an image'),
    ([picture(), 3], r'images\[1\]: int is not an image'),
    (torch.zeros(3, 8, 8), 'images: Tensor is not an image'),
    (np.zeros((2, 8, 8, 3), np.uint8), r'shape \(2, 8, 8, 3\): expected'),
    (np.zeros((8, 8, 4), np.uint8), r'shape \(8, 8, 4\): expected \(H, W, 3'),
    (np.zeros(8, np.uint8), r'shape \(8,\): expected'),
    (np.zeros((0, 8, 3), np.uint8), r'shape \(0, 8, 3\): expected'),
    (np.zeros((8, 8, 3), bool), 'type bool: expected numbers'),
    (np.full((8, 8, 3), 'a'), 'type <U1: expected numbers'),
    (np.full((8, 8, 3), None), 'type object: expected numbers'),
    (np.full((8, 8, 3), np.nan), 'values from nan to nan: expected 0 to 255'),
    (np.full((8, 8, 3), -1), 'values from -1 to -1: expected 0 to 255'),
    (np.full((8, 8, 3), 256.), 'values from 256 to 256: expected 0 to 255'),
    (np.zeros((1, 9000, 3), np.uint8), r'shape \(1, 9000, 3\).*cannot be '
     'preprocessed'),
    ('missing.png', 'missing.png: no such file'),
    ('a\0b.png', 'no such file'),
    ('.', r'\.: no such file'),
    (__file__, 'test_predicting.py: cannot be read as an image'),
])
def test_bad_images(net, image, message):
    """Oracle: one error that names the image and what is wrong with it."""
    from pss.errors import InputError
    with pytest.raises(InputError, match=message) as caught:
        net.predict(image)
    assert '\n' not in str(caught.value)


def test_pipe(net, tmp_path):
    """Oracle: a named pipe is not a file, and is not waited for."""
    from pss.errors import InputError
    os.mkfifo(tmp_path / 'pipe.png')
    with pytest.raises(InputError, match='no such file'):
        net.predict(tmp_path / 'pipe.png')


def test_steps_get_tuples():
    """Oracle: mmdet's Pad takes a colour as a tuple, and writes it."""
    from pss.deploy.detector_preprocessing import build_steps
    steps = build_steps([
        dict(type='LoadImageFromFile'),
        dict(type='Pad', size=[96, 96], pad_val=dict(img=[1, 2, 3])),
        dict(type='PackDetInputs', meta_keys=['img_shape'])
    ])
    packed = steps['rest'](steps['array'](dict(img=picture())))
    assert packed['inputs'].shape == (3, 96, 96)
    assert packed['inputs'][:, -1, -1].tolist() == [1, 2, 3]


@pytest.mark.parametrize('steps', [
    [dict(type='os.system', command='true')],
    [dict(type='LoadImageFromFile'),
     dict(type='Pad', size_divisor=0, size=1)],
])
def test_steps_that_cannot_be_built(steps):
    """Oracle: one error; a type that is not registered is not imported."""
    from pss.deploy.detector_preprocessing import build_steps
    from pss.errors import InputError
    with pytest.raises(InputError, match='pipeline cannot be built'):
        build_steps(steps)


def test_bank_of_two_stages(tmp_path):
    """Oracle: the boxes of the supernet that the bank was made from. mmdet's
    two-stage detectors insist on a train_cfg, which banks lack."""
    from pss.apis import AdaptiveDetector, load_config
    from pss.deploy import write_bank
    config = load_config(CONFIGS / 'faster-rcnn_mbv2_fpn_coco_adaptive.py')
    config.model.backbone.init_cfg = None
    config.model.backbone.search_space = dict(resolutions=[96, 128])
    config.model.input_size = (128, 128)
    config.model.test_cfg.rcnn.score_thr = 0.
    model, bank = detector_bank(config)
    write_bank(bank, tmp_path / 'bank')
    net = AdaptiveDetector(tmp_path / 'bank')
    image = picture(128, 128)
    for kept in net.subnets:
        net.switch(kept)
        model.switch_to(kept.subnet, bank.statistics[kept.subnet])
        [found] = net.predict(image)
        pixels = model.data_preprocessor(
            dict(
                inputs=[torch.from_numpy(image).permute(2, 0, 1)],
                data_samples=[found.new()]), False)
        with torch.no_grad():
            [wanted] = model(**pixels, mode='predict')
        assert len(found.pred_instances)
        torch.testing.assert_close(wanted.pred_instances.bboxes,
                                   found.pred_instances.bboxes)
