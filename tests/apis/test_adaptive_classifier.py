import dataclasses
import os
import sys
import threading

import cv2
import numpy as np
import pytest
import torch
from mmpretrain import ImageClassificationInferencer

from pss.apis import AdaptiveClassifier
from pss.deploy import read_bank, write_bank
from pss.deploy.exporter import Exporter
from pss.errors import InputError
from pss.structures import Subnet

from ..building import NETWORKS, SMALL_RESNET, random_bank

# PSS_STRESS=100000 tests more, in another half a minute
PREDICTIONS = int(os.environ.get('PSS_STRESS', 4_000))


@pytest.fixture(scope='module')
def net(bank):
    return AdaptiveClassifier(bank)


def photo(height=50, width=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_select_and_switch(bank):
    """Oracle: brute force over the bank's subnets and two resources."""
    net = AdaptiveClassifier(bank)
    best = max(net.subnets, key=lambda k: k.held_out_accuracy)
    assert net.active == net.select() == best
    for one in net.subnets:
        for other in net.subnets:
            limits = dict(
                flops=one.costs['flops'],
                latency_cpu=other.costs['latency_cpu'])
            fitting = [
                k for k in net.subnets
                if all(k.costs[n] <= v for n, v in limits.items())
            ]
            if fitting:
                wanted = max(fitting, key=lambda k: k.held_out_accuracy)
                assert net.select(**limits) == wanted
                assert net.switch(**limits) == net.active == wanted
            else:
                with pytest.raises(InputError, match='the nearest is'):
                    net.switch(**limits)
    for one in net.subnets:
        for given in (one, one.name, one.subnet):
            net.switch()
            assert net.switch(given).subnet == net.active.subnet == one.subnet
    for words, given, limits in (("'x' is not in the bank; expected one of ",
                                  'x', {}), ('not in the bank',
                                             Subnet(3, (3, )), {}),
                                 ("'largest' contradicts the limits", 'largest',
                                  dict(flops=1e-3)), ('unknown resource', None,
                                                      dict(flop=1)),
                                 ('above 0', 'largest', dict(flops=-1))):
        before = net.active
        with pytest.raises(InputError, match=words):
            net.switch(given, **limits)
        assert net.active == before


@pytest.mark.parametrize('backbone', [
    *NETWORKS.values(),
    dict(SMALL_RESNET, norm_cfg=dict(type='GN', num_groups=8))
])
def test_logits_are_the_supernets(tmp_path, backbone):
    """Oracle: the supernet at each subnet, with the subnet's statistics if it
    has batch norms."""
    model, contents = random_bank(1, **backbone)
    write_bank(contents, tmp_path / 'bank')
    net = AdaptiveClassifier(tmp_path / 'bank')
    images = torch.randn(2, *contents.input_shape)
    for kept in net.subnets:
        net.switch(kept)
        model.switch_to(kept.subnet, contents.statistics[kept.subnet])
        with torch.no_grad():
            torch.testing.assert_close(
                net.logits(images), model(images), atol=1e-5, rtol=0)


def test_predictions_equal_mmpretrains(bank, net, tmp_path):
    """Oracle: mmpretrain's inferencer on the exported network, for paths,
    arrays and batches; a tensor is predicted like its array."""
    images = [photo(seed=i) for i in range(3)] + [photo(33, 60)]
    paths = []
    for i, image in enumerate(images):
        paths.append(str(tmp_path / f'{i}.png'))
        cv2.imwrite(paths[-1], image)
    kept = net.switch(flops=net.subnets[3].costs['flops'])
    contents = read_bank(bank)
    contents = dataclasses.replace(
        contents,
        testing=dict(
            dataloader=dict(
                batch_size=1,
                sampler=dict(type='DefaultSampler'),
                dataset=dict(type='CustomDataset', pipeline=contents.pipeline)),
            evaluator=dict(type='Accuracy')))
    record = Exporter(contents).export(kept, 'torch', tmp_path)
    inferencer = ImageClassificationInferencer(
        str(tmp_path / record['file']).replace('.pth', '.py'),
        str(tmp_path / record['file']),
        device='cpu')
    wanted = inferencer(images)
    tensors = [torch.from_numpy(i).permute(2, 0, 1) for i in images]
    for given in (images, paths, tensors, tensors[0], images[0], paths[0],
                  tmp_path / '0.png', np.stack(images[:3]),
                  torch.stack(tensors[:3]),
                  [image.astype(np.float64) for image in images]):
        found = net.predict(given, batch_size=2)
        assert len(found) in (1, 3, 4)
        for one, other in zip(found, wanted):
            assert set(one) == set(other)
            assert one['pred_label'] == other['pred_label']
            assert one['pred_class'] == other['pred_class'] == \
                'abcdefghij'[one['pred_label']]
            assert one['pred_score'] == pytest.approx(
                other['pred_score'], abs=1e-6)
            np.testing.assert_allclose(
                one['pred_scores'], other['pred_scores'], atol=1e-6)
    assert net.predict([]) == []


def test_grey_images(net):
    """Oracle: three equal channels."""
    grey = photo()[..., 0]
    wanted = net.predict(np.repeat(grey[..., None], 3, axis=2))[0]
    for given in (grey, grey[..., None], torch.from_numpy(grey)[None]):
        assert net.predict(given)[0]['pred_score'] == wanted['pred_score']


@pytest.mark.parametrize('image, words', [
    ('nowhere.png', 'nowhere.png: no such file'),
    (__file__, 'test_adaptive_classifier.py: not an image file'),
    (3, 'int is not an image'),
    (None, 'NoneType is not an image'),
    ([photo(), 'x.png'], 'x.png: no such file'),
    ([photo(), photo()[0, 0]], r'images\[1\]: an array of shape \(3,\)'),
    (np.zeros((1, 2, 8, 8, 3), np.uint8), r'shape \(1, 2, 8, 8, 3\)'),
    (np.zeros((30, 30, 4), np.uint8), r'shape \(30, 30, 4\).*3 channels'),
    (np.zeros((0, 30, 3), np.uint8), r'shape \(0, 30, 3\)'),
    (np.zeros((30, 30, 3)) - 1, 'values from -1 to -1; expected 0 to 255'),
    (np.zeros((30, 30, 3)) + 256, 'values from 256'),
    (np.full((30, 30, 3), np.nan), 'nan; expected 0 to 255'),
    (np.zeros((30, 30, 3), bool), 'type bool'),
    (np.full((30, 30), 'a'), 'expected numbers'),
    (torch.zeros(30, 30), r'shape \(30, 30\); expected \(C, H, W\)'),
    (torch.zeros(30, 30, 3), r'shape \(30, 3, 30\)'),
    (torch.randn(2, 3, 30, 30), r'images\[0\]: values from'),
])
def test_bad_images(net, image, words):
    """Oracle: the message names the image, what it is and what was expected."""
    with pytest.raises(InputError, match=words):
        net.predict(image)


def test_images_that_no_transform_makes_fit(tmp_path):
    """Oracle: both sizes in the message; this preprocessing does not resize."""
    bank = dataclasses.replace(
        random_bank()[1], pipeline=[dict(type='PackInputs')])
    write_bank(bank, tmp_path / 'bank')
    net = AdaptiveClassifier(tmp_path / 'bank')
    assert len(net.predict(photo(24, 24))) == 1
    with pytest.raises(InputError, match='24 x 30 pixels.*expected 24 x 24'):
        net.predict(photo(24, 30))


def test_repr(net):
    """Oracle: the active subnet and the table of all of them."""
    assert repr(net.subnets) in repr(net)
    assert f'active={net.active.name!r}' in repr(net)


def test_bad_arguments(bank, net):
    """Oracle: the message names the argument, its value and what was
    expected."""
    with pytest.raises(InputError, match="device='nowhere'"):
        AdaptiveClassifier(bank, device='nowhere')
    for size in (0, True, 1.5):
        with pytest.raises(InputError, match=f'batch_size={size}'):
            net.predict(photo(), batch_size=size)
    for latency in (0, -1, float('nan'), float('inf'), '5', True):
        with pytest.raises(InputError, match='latency_ms='):
            net.follow(latency_ms=latency)
    with pytest.raises(InputError, match='no subnet meets it; the nearest'):
        net.follow(latency_ms=1e-6)


@pytest.mark.parametrize(
    'options, words',
    [(dict(share=2), 'share=2'), (dict(patience=0), 'patience=0'),
     (dict(share=0.4), 'share=0.4'),
     (dict(patients=3), "follow: unknown key 'patients'.*'patience'")])
def test_bad_options_of_following_change_nothing(bank, options, words):
    """Oracle: the message names the option; the active subnet and the earlier
    following stay."""
    net = AdaptiveClassifier(bank)
    net.follow(latency_ms=1e6)
    net._active = net._running(net.subnets[0])
    before = net._following
    with pytest.raises(InputError, match=words):
        net.follow(latency_ms=1e6, **options)
    assert net._following is before is not None
    assert net.active.name == 'smallest'


def test_every_prediction_is_one_subnets_own(bank):
    """Oracle: the logits of each subnet alone, bit for bit, while threads
    predict and other threads switch as fast as they can."""
    net = AdaptiveClassifier(bank)
    images = torch.randn(1, 3, 24, 24)
    own = {}
    for kept in net.subnets:
        net.switch(kept)
        own[net.logits(images).numpy().tobytes()] = kept.name
    assert len(own) == len({kept.subnet for kept in net.subnets})
    stop, wrong, seen = threading.Event(), [], set()

    def switch(seed):
        rng = np.random.default_rng(seed)
        costs = [kept.costs['flops'] for kept in net.subnets]
        while not stop.is_set():
            for limit in rng.choice(costs, 50):
                net.switch(flops=limit)
            for i in rng.integers(len(net.subnets), size=50):
                net.switch(net.subnets[i])

    def predict(num):
        for _ in range(num):
            found = own.get(net.logits(images).numpy().tobytes())
            seen.add(found)
            if found is None:
                wrong.append(1)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    switchers = [threading.Thread(target=switch, args=(i, )) for i in range(2)]
    predictors = [
        threading.Thread(target=predict, args=(PREDICTIONS // 4, ))
        for _ in range(4)
    ]
    try:
        for thread in switchers + predictors:
            thread.start()
        for thread in predictors:
            thread.join()
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        for thread in switchers:
            thread.join()
    assert not wrong and len(seen) == len(own)


def test_following(bank, monkeypatch):
    """Oracle: the latencies of a simulated clock: a faster subnet under load,
    the first one again afterwards; switching by hand ends the following."""
    import time

    from pss.runtime import adaptive
    net = AdaptiveClassifier(bank)
    cheap = {
        id(net._networks[k.subnet]): 1 + i
        for i, k in enumerate(net.subnets)
    }
    clock, load = [0.], [1.]

    def predict(network, images, batch_size):
        clock[0] += 1e-3 * load[0] * cheap[id(network)]
        return [None]

    monkeypatch.setattr(net, '_answer', predict)
    monkeypatch.setattr(adaptive.time, 'perf_counter', lambda: clock[0])
    follower = net.follow(latency_ms=1.1 * len(net.subnets))
    first = net.active
    assert first == max(net.subnets, key=lambda k: k.held_out_accuracy)
    assert net.resources['latency_ms'] == 'ms'
    load[0] = 3 * len(net.subnets) / cheap[id(net.network)]
    for _ in range(20):
        net.predict(None)
    position = net.subnets.index(net.active)
    assert load[0] * (1 + position) <= 1.1 * len(net.subnets)
    load[0] = 1.
    for _ in range(100):
        net.predict(None)
    assert net.active == first and follower.moves == 2
    net.switch('smallest')
    load[0] = 100.
    for _ in range(50):
        net.predict(None)
    assert net.active.name == 'smallest'
    assert net.follow(None) is None
    assert time.perf_counter() == clock[0]


@pytest.mark.gpu
def test_on_a_gpu(bank, exact):
    """Oracle: the CPU's logits, of every subnet in turn."""
    nets = [AdaptiveClassifier(bank, device) for device in ('cpu', 'cuda')]
    images = torch.randn(4, *nets[0].input_shape)
    for entry in nets[0].subnets:
        for net in nets:
            net.switch(entry.name)
        wanted, found = (net.logits(images.to(device))
                         for net, device in zip(nets, ('cpu', 'cuda')))
        torch.testing.assert_close(found.cpu(), wanted, atol=1e-3, rtol=1e-3)
