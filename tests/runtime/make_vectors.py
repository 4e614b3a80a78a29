"""Writes the test vectors that the Python and JavaScript runtimes share.

``python -m tests.runtime.make_vectors`` writes them anew from the Python
runtime. ``test_vectors.py`` checks that it still gives exactly these, and
``web/test`` that the JavaScript gives them too.
"""

import base64
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np

from pss.errors import InputError
from pss.runtime import BankSelection, DeviceBank, LatencyFollower
from pss.runtime.device_bank import BLANK, KeptSubnet, Subnet, read_device_bank
from pss.runtime.preprocessing import Preprocessing

FOLDER = Path(__file__).parent / 'vectors'
METHODS = ('nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos')


def vectors():
    """All vectors, by the name of their file."""
    return dict(
        selection=selection(),
        follower=follower(),
        preprocessing=preprocessing(),
        device_banks=device_banks())


def outcome(function, *args, **kwargs):
    """What a function returns, or the message of its error."""
    try:
        return dict(result=function(*args, **kwargs))
    except InputError as error:
        return dict(error=str(error))


class Selection(BankSelection):
    """A selection without networks."""

    active = None

    def _activate(self, kept):
        self.active = kept


def selection():
    """Limits, and the names of the subnets that they select."""
    rng = np.random.default_rng(0)
    resources = dict(flops='MFLOPs', latency_cpu='us', other='')
    kept = [
        dict(
            name=f'flops {i}',
            costs={
                name: int(value) + 0.5
                for name, value in zip(resources, rng.integers(1, 20, 3))
            },
            held_out_accuracy=int(rng.integers(60, 70)) + 0.25)
        for i in range(20)
    ]
    kept += [
        dict(
            name="a 'quoted' one",
            costs=dict(flops=1234.5678, latency_cpu=0.00123456, other=5e-11),
            held_out_accuracy=50.5),
    ]
    chooser = Selection(selection_bank(kept, resources))
    limits = [{}]
    limits += [{name: limit} for name in resources for limit in (4, 9.5, 30)]
    limits += [
        dict(zip(resources, values))
        for values in rng.choice([2.5, 5, 7.5, 12.5, 19.5], (30, 3)).tolist()
    ]
    limits += [
        dict(latency_cpu=15.5, flops=15.5),
        dict(flops=1),
        dict(latency_cpu=1e-5),
        dict(other=1e-12),
        dict(flops=1e-7, latency_cpu=123456789),
        dict(flop=3),
        dict(latency=3.5),
        dict(zzz=3.5),
        dict(flops=0),
        dict(flops=-1.5),
        dict(flops='5'),
        dict(flops=True),
        dict(flops=None),
    ]
    switches = [['flops 3', {}], ['nothing', {}], ['flops 3',
                                                   dict(flops=0.5)],
                ['flops 3', dict(flops=1000)], ["a 'quoted' one", {}]]
    return dict(
        resources=resources,
        subnets=kept,
        select=[
            dict(
                limits=given,
                **outcome(lambda given=given: chooser.select(**given).name))
            for given in limits
        ],
        switch=[
            dict(
                subnet=name,
                limits=given,
                **outcome(lambda name=name, given=given: chooser.switch(
                    name, **given).name)) for name, given in switches
        ])


def selection_bank(kept, resources):
    """A bank of subnets that only have costs and accuracies."""
    return DeviceBank(
        folder=Path('bank'),
        task='classification',
        scores='softmax',
        classes=None,
        preprocessing={},
        input_shape=(3, 8, 8),
        resources=resources,
        metric='top1',
        kept=tuple(
            KeptSubnet(
                subnet=Subnet(8, (i, )),
                standard_error=None,
                test_accuracy=None,
                file=f'{i}.onnx',
                **entry) for i, entry in enumerate(kept)))


def follower():
    """Latencies under loads, and the position after each request."""
    typical = [10., 12., 14., 16., 18., 20.]
    accuracies = [80., 82., 84., 86., 88., 90.]
    wave = (1.5 - 0.5 * np.cos(np.linspace(0, 6 * np.pi, 300))).tolist()
    loads = dict(
        steps=60 * [1.] + 60 * [1.7] + 60 * [1.] + 60 * [2.2] + 60 * [1.],
        ramp=np.linspace(1, 2.2, 300).tolist(),
        wave=wave,
        hardly=300 * [1.39],
        spikes=[4. if i % 20 == 7 else 1.3 for i in range(300)],
        beyond=50 * [9.] + 50 * [1.])
    cases = []
    for seed, (name, load) in enumerate(loads.items()):
        for noise, options in ((0.02, {}), (0.08, dict(share=0.8,
                                                       patience=10))):
            rng = np.random.default_rng(seed)
            found = LatencyFollower(25., typical, accuracies, **options)
            rows = []
            for slowdown in load:
                latency = round(
                    typical[found.position] * slowdown *
                    rng.lognormal(0, noise), 3)
                rows.append([latency, found.observe(found.position, latency)])
            cases.append(
                dict(
                    name=f'{name}, noise {noise}',
                    options=options,
                    latencies=[row[0] for row in rows],
                    positions=[row[1] for row in rows],
                    moves=found.moves))
    # accuracies that do not follow the latencies, and equal ones
    starts = [
        dict(
            target_ms=target,
            typical_ms=[3., 1., 2., 2.5, 2.],
            accuracies=[70., 71., 75., 75., 75.],
            position=LatencyFollower(target, [3., 1., 2., 2.5, 2.],
                                     [70., 71., 75., 75., 75.]).position)
        for target in (0.5, 1., 2., 2.25, 3., 50.)
    ]
    shares = [0.5, 0.6, 0.8, 0.9, 0.92, 0.95, 0.99, 0.999999, 1 - 1e-13]
    bad = [
        dict(target_ms=0),
        dict(target_ms='5'),
        dict(target_ms=None),
        dict(share=1),
        dict(share=0.4),
        dict(patience=0),
        dict(patience=2.5),
        dict(typical_ms=[1.5, -1]),
        dict(accuracies=[1.5, 'x']),
    ]
    given = dict(target_ms=5., typical_ms=[1., 2.], accuracies=[80., 90.])
    return dict(
        target_ms=25.,
        typical_ms=typical,
        accuracies=accuracies,
        cases=cases,
        starts=starts,
        quantiles=[[
            share,
            LatencyFollower(1., [1.], [1.], share=share)._quantile
        ] for share in shares],
        bad=[
            dict(
                arguments={
                    **given,
                    **more
                },
                **outcome(LatencyFollower, **{
                    **given,
                    **more
                })) for more in bad
        ])


def preprocessing():
    """Images, steps, and the bytes after the steps; batches; errors."""
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, shape, np.uint8)
        for shape in ((7, 11, 3), (12, 9, 3), (10, 10, 1), (23, 5, 3))
    ]
    # edges and flat parts, where filters overshoot
    images[1][3:9, 2:7] = (images[1][3:9, 2:7] > 127) * np.uint8(255)
    steps = []
    for method in METHODS:
        kind = dict(type='Resize', backend='pillow', interpolation=method)
        steps += [[dict(kind, scale=scale, keep_ratio=False)]
                  for scale in ([4, 6], [13, 17], [9, 5])]
    for backend in ('pillow', 'cv2'):
        kind = dict(backend=backend, interpolation='bilinear')
        steps += [[dict(kind, type='ResizeEdge', scale=8, edge=edge)]
                  for edge in ('short', 'long', 'width', 'height')]
        steps += [[dict(kind, type='Resize', scale=scale, keep_ratio=True)]
                  for scale in ([6, 9], [14, 11])]
    steps += [[
        dict(
            type='Resize',
            backend='cv2',
            interpolation='bilinear',
            scale=scale,
            keep_ratio=False)
    ] for scale in ([4, 6], [13, 17], [9, 7])]
    steps += [[dict(type='CenterCrop', crop_size=size)]
              for size in ([4, 5], [5, 4], [30, 3])]
    steps += [[],
              [
                  dict(
                      type='ResizeEdge',
                      backend='pillow',
                      interpolation='bicubic',
                      scale=8,
                      edge='short'),
                  dict(type='CenterCrop', crop_size=[6, 7])
              ]]
    cases = []
    for given in steps:
        for i, image in enumerate(images):
            sides = sides_after(given, image)
            shape = (image.shape[2], *sides)
            found = Preprocessing(
                dict(
                    steps=given,
                    to_rgb=False,
                    mean=image.shape[2] * [0.],
                    std=image.shape[2] * [1.]), shape)(image)[0]
            cases.append(
                dict(
                    steps=given,
                    image=i,
                    sides=sides,
                    pixels=text_of(found.transpose(1, 2, 0).astype(np.uint8))))
    return dict(
        images=[
            dict(
                height=image.shape[0],
                width=image.shape[1],
                channels=image.shape[2],
                data=text_of(image)) for image in images
        ],
        cases=cases,
        batches=batches(images),
        errors=errors())


def text_of(array):
    return base64.b64encode(np.ascontiguousarray(array)).decode()


def sides_after(steps, image):
    """Height and width after the steps: those that an impossible expectation
    complains about."""
    config = dict(steps=steps, to_rgb=False, mean=[0.], std=[1.])
    try:
        Preprocessing(config, (image.shape[2], 1, 99))(image)
    except InputError as error:
        height, _, width = str(error).partition(' become ')[2].split()[:3]
        return [int(height), int(width)]
    raise AssertionError('the steps make 1 x 99 pixels')


def batches(images):
    """Normalised batches: colours, and grey images for colour networks."""
    config = dict(steps=[], mean=[123.675, 116.28, 103.53], std=[58., 57., 0.3])
    grey = dict(steps=[], to_rgb=False, mean=[72.94], std=[90.02])
    found = []
    for i, given, channels in ((0, dict(config, to_rgb=True),
                                3), (0, dict(config, to_rgb=False), 3),
                               (2, dict(config, to_rgb=True), 3), (2, grey, 1)):
        shape = (channels, *images[i].shape[:2])
        batch = Preprocessing(given, shape)([images[i]])
        found.append(
            dict(
                config=given,
                input_shape=shape,
                image=i,
                batch=text_of(batch.astype('<f4'))))
    return found


def errors():
    """Images that do not become the network's input."""
    edge = dict(
        type='ResizeEdge',
        backend='pillow',
        interpolation='bilinear',
        scale=8,
        edge='short')
    found = []
    for steps, shape in (([], (5, 4, 3)), ([], (4, 4, 4)), ([], (4, 4, 2)),
                         ([edge], (3, 9, 3)), ([edge], (1, 1 << 22, 1))):
        config = dict(steps=steps, to_rgb=True, mean=3 * [0.], std=3 * [1.])
        found.append(
            dict(
                config=config,
                shape=shape,
                **outcome(
                    Preprocessing(config, (3, 4, 4)), np.zeros(shape,
                                                               np.uint8))))
    return found


def device_banks():
    """Files of device banks, and the error that they make.

    Errors end where the reason of the system or of the JSON parser begins.
    """
    subnet = dict(
        name='largest',
        resource=None,
        level=None,
        resolution=8,
        widths=[4, 8],
        costs=dict(flops=1.5),
        held_out_accuracy=70.5,
        standard_error=0.5,
        test_accuracy=None,
        file='largest.onnx')
    files = {'weights.bin': 'weights', 'largest.onnx': 'a graph'}
    index = dict(
        format='pss-device-bank',
        version=1,
        task='classification',
        scores='softmax',
        resources=dict(flops='MFLOPs'),
        metric='top1',
        classes=['Käfer', 'Fisch'],
        input_shape=[3, 8, 8],
        preprocessing=dict(steps=[], to_rgb=False, mean=3 * [0.], std=3 * [1.]),
        subnets=[subnet],
        files={
            name: dict(bytes=len(content), sha256=digest(content))
            for name, content in files.items()
        })
    good = signed(index)
    cases = {
        'good':
        good,
        'its own checksum twice':
        signed(dict(index, note=BLANK)),
        'empty':
        '',
        'truncated':
        good[:len(good) // 2],
        'text':
        'nothing of the kind',
        'a list':
        '[1]',
        'foreign':
        '{"type": "module"}',
        "PyTorch's bank":
        signed(dict(index, format='pss-bank')),
        'a long format':
        signed(dict(index, format=40 * 'x')),
        'newer':
        signed(dict(index, version=2)),
        'version as text':
        signed(dict(index, version='1')),
        'no version':
        signed(dict(index, version=None)),
        'altered':
        good.replace('70.5', '75.5'),
        'another checksum':
        good[:-4] + '0' + good[-3:],
        'no checksum':
        json.dumps(index),
        'an empty checksum':
        json.dumps(dict(index, sha256='')),
        'no subnets':
        signed(dict(index, subnets=[])),
        'no fields':
        signed(dict(format='pss-device-bank', version=1)),
        'subnets as text':
        signed(dict(index, subnets='largest')),
        'a cost that is missing':
        with_subnet(index, costs={}),
        'a cost as text':
        with_subnet(index, costs=dict(flops='1.5')),
        'an accuracy as text':
        with_subnet(index, held_out_accuracy='70'),
        'a graph that is not listed':
        with_subnet(index, file='other.onnx'),
        'a graph elsewhere':
        with_subnet(index, file='../largest.onnx'),
        'a file elsewhere':
        signed(dict(index, files={'../x': index['files']['weights.bin']})),
    }
    found = [
        bank_case(name, {
            'bank.json': text,
            **files
        }) for name, text in cases.items()
    ]
    found += [
        bank_case(name, {
            'bank.json': good,
            **files,
            **changed
        }) for name, changed in {
            'truncated weights': {
                'weights.bin': 'weigh'
            },
            'altered weights': {
                'weights.bin': 'wEights'
            },
            'an altered graph': {
                'largest.onnx': 'a Graph'
            },
            'no weights': {
                'weights.bin': None
            },
            'no index': {
                'bank.json': None
            }
        }.items()
    ]
    return found


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def signed(index):
    """The text of an index with its own checksum."""
    text = json.dumps(dict(index, sha256=BLANK), ensure_ascii=False)
    return digest(text).join(text.rsplit(BLANK, 1))


def with_subnet(index, **fields):
    """An index whose subnet has other fields."""
    return signed(dict(index, subnets=[dict(index['subnets'][0], **fields)]))


def bank_case(name, files):
    """The files of a device bank, and what reading it gives."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / 'bank'
        folder.mkdir()
        for file, content in files.items():
            if content is not None:
                (folder / file).write_text(content, encoding='utf-8')
        found = outcome(lambda: read_device_bank(folder).kept[0].name)
        if 'error' in found:
            message = found['error'].replace(parent + '/', '')
            for reason in ('cannot be read (', 'not JSON (',
                           'as export_bank.py writes it ('):
                message = ''.join(message.partition(reason)[:2])
            found = dict(error=message)
    return dict(name=name, files=files, **found)


def text(value):
    """The text of a file of vectors: a line for each entry."""
    lines = json.dumps(value, ensure_ascii=False, allow_nan=False)
    for end in ('}, ', '}], '):
        lines = lines.replace(end + '"', f'{end.strip()}\n"')
        lines = lines.replace(end + '{', f'{end.strip()}\n{{')
    return lines + '\n'


if __name__ == '__main__':
    FOLDER.mkdir(exist_ok=True)
    for name, value in vectors().items():
        (FOLDER / f'{name}.json').write_text(text(value), encoding='utf-8')
        print(f'{FOLDER.name}/{name}.json')
