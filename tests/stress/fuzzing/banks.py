"""Banks from an untrusted source, opened and exported."""

import inspect
import json
import math
import os
import shutil

import numpy as np
import safetensors.torch
import torch

from pss.apis import AdaptiveClassifier, load_config
from pss.deploy import bank_format
from tests.deploy.conftest import rewrite
from tests.stress.corrupt import cut, flipped

from .cases import Case, check_outputs, tool_case
from .data import bad_image
from .values import NUMBERS, TEXTS, bad_json, change, pick, shown

# functions that MMEngine would import if it were allowed to
IMPORTS = ('os.system', 'os.getcwd', 'subprocess.getoutput', 'builtins.exec',
           'builtins.eval', 'builtins.open', 'torch.hub.load', 'torch.load',
           'mmengine.Config.fromfile', 'mmengine.fileio.load',
           'mmengine.fileio.get', 'pathlib.Path', 'pathlib.Path.touch',
           'shutil.rmtree', 'os.mkdir', 'os.remove', 'pickle.loads',
           'importlib.import_module', 'runpy.run_path', 'logging.FileHandler',
           'functools.partial', 'types.FunctionType', 'open', 'exec', 'eval',
           'pss.apis.init_model', 'pss.deploy.read_bank', 'torch.nn.Linear',
           'torch.nn.Module', 'torchvision.models.resnet18', 'getattr',
           'mmengine.runner.CheckpointLoader.load_checkpoint',
           'mmengine.runner.load_checkpoint', 'numpy.load', 'np.load')
ODD = (None, 1, [], ['ReLU'], {}, True, '', '.', 'pss.', 'pss.Nothing', 'a.b.c',
       'Nothing', 'mmengine.', 'torchvision/', 'torchvision/Lambda', 'mmdet.X',
       '\x1b[31m', 'a' * 5000, '__class__', 'ReLU\n')
SCOPES = ('', 'pss.', 'mmengine.', 'mmpretrain.', 'mmcv.', 'torchvision/')
FILES = {
    'init_cfg': dict(type='Pretrained', checkpoint='{marker}'),
    'checkpoint': '{marker}',
    'pretrained': '{marker}',
    'answer_list_path': '{marker}',
    'backend_args': dict(backend='local'),
    'sys_path': '{marker}',
    'file_client_args': dict(backend='petrel'),
    'imdecode_backend': 'tifffile',
    'path': '{marker}',
    'args': '{marker}',
    'name': '{marker}',
    'out_dir': '{marker}',
    'ann_file': '{marker}',
    'data_root': '{marker}',
    'custom_imports': dict(imports=['antigravity']),
    '_base_': '{marker}',
    '_scope_': 'torchvision',
    'init': 'text',
    'norm_cfg': dict(type='BN'),
    'act_cfg': dict(type='ReLU'),
    'conv_cfg': dict(type='Conv2d'),
    'train_cfg': dict(augments=[]),
    'topk': [1, 99],
    'cal_acc': True,
    'with_cp': True,
    'frozen_stages': 9,
    'norm_eval': True,
    'loss': dict(type='CrossEntropyLoss'),
    'num_classes': 10**9,
    'in_channels': -1
}


def registered():
    """The types in all registries by name, with and without a scope."""
    import mmengine.registry
    import mmpretrain.registry

    import pss.registry
    found = {}
    for module in (mmengine.registry, mmpretrain.registry, pss.registry):
        for registry in vars(module).values():
            if isinstance(registry, mmengine.registry.Registry):
                registry.import_from_location()
                for name, target in registry.module_dict.items():
                    found.update({str(name): target, f'pss.{name}': target})
    for name, target in vars(torch.nn).items():
        if name[:1].isupper():
            found.update({name: target, f'mmengine.{name}': target})
    return dict(sorted(found.items()))


# The modules of classes that banks are made of, and of similar ones.
LIKELY = ('pss.models', 'pss.datasets', 'mmpretrain.models.heads',
          'mmpretrain.models.necks', 'mmpretrain.models.losses',
          'mmpretrain.models.utils', 'mmpretrain.datasets.transforms',
          'mmcv.cnn', 'mmcv.transforms', 'mmengine.model', 'torch.nn')


class Banks:
    """Banks that are wrong in one to three places, opened and used."""

    name, share = 'banks', 20

    def __init__(self, fixtures) -> None:
        self.fixtures = fixtures
        self.types = list(registered())
        self.allowed = [
            name for name, target in registered().items()
            if target.__module__.startswith(LIKELY)
        ]
        self.targets = registered()

    def case(self, rng, place):
        folder = place.inputs / 'bank'
        kind = pick(rng, ('index', ) * 5 + ('config', ) * 6 +
                    ('tensors', 'tensors', 'tensors', 'bytes', 'json', 'files'))
        what = getattr(self, f'write_{kind}')(rng, folder, place)
        if rng.random() < 0.3:
            return self.export(what, rng, folder, place)
        return Case(f'AdaptiveClassifier: {what}',
                    lambda: self.use(folder, place))

    def export(self, what, rng, folder, place):
        """An export of one or all of its subnets."""
        which = pick(rng, [['--all'], ['--budget', 'flops=1000']])
        form = pick(rng, ['torch', 'torch', 'onnx', 'torchscript'])

        def check():
            for path in place.out.rglob('*.py'):
                load_config(path)

        return tool_case(
            what,
            'export_subnet',
            place,
            folder,
            *which,
            '--format',
            form,
            '--out',
            place.out / 'x',
            check=check)

    def use(self, folder, place):
        """Opens it, and does everything a program can do with it."""
        net = AdaptiveClassifier(folder)
        image = np.full((24, 24, 3), 100, np.uint8)
        lines = repr(net).splitlines()
        assert all(line.isprintable() for line in lines), \
            'control characters in the table'
        assert len(lines) == 3 + len(net.subnets), 'a table of other lines'
        for kept in net.subnets:
            net.switch(kept)
            assert net.active == kept
            for images in (image, self.fixtures.photo):
                for found in net.predict(images):
                    assert np.isfinite(found['pred_scores']).all(), \
                        'scores are not finite'
                    assert math.isfinite(found['pred_score'])
        net.select(flops=1e6)
        net.follow(1e6)
        net.predict([image, image])
        check_outputs(place.out)

    # --- what is wrong with it ---

    def write_index(self, rng, folder, place):
        """Changes any field of the index."""
        said = []

        def edit(value):
            found = value
            for _ in range(1 + int(rng.integers(2))):
                found, what = change(found, rng, self.types + list(ODD))
                said.append(what)
            value.clear()
            value.update(found)

        self.rewrite(folder, edit)
        return '; '.join(said)

    def write_config(self, rng, folder, place):
        """Changes the config of the network, the transforms, or testing."""
        marker = str(place.marker)
        keys = [(k, json.loads(json.dumps(v).replace('{marker}', marker)))
                for k, v in FILES.items()]
        keys += [('type', name) for name in IMPORTS] + keys
        types = [*IMPORTS, *ODD] * 2 + [
            pick(rng, self.types) for _ in range(60)
        ]
        types += [pick(rng, self.allowed) for _ in range(60)]
        said = []

        def edit(value):
            for _ in range(1 + int(rng.integers(3))):
                part = pick(
                    rng, ['model', 'model', 'preprocessing', 'testing', 'row'])
                if part == 'row':
                    what = self.edit_row(value, rng)
                elif rng.random() < 0.2:
                    what = self.add(value, rng, types, marker)
                elif isinstance(value[part], dict) and value[part]:
                    value[part], what = change(value[part], rng, types, keys)
                else:
                    continue
                said.append(f'{part}: {what}')

        self.rewrite(folder, edit)
        return '; '.join(said)

    @staticmethod
    def edit_row(value, rng):
        """Changes a kept subnet so that it still looks right."""
        rows = [value['largest'], value['smallest'], *value['pools']]
        row = pick(rng, rows)
        key, new = pick(
            rng,
            [('level', pick(rng, [0, -1, 1e300, -0.0, 5e-324, 10**400])),
             ('resource', pick(rng, ['latency_cpu', 'flops', '', '\x1b[31m'])),
             ('held_out_accuracy', pick(rng, [-1, 1e308, 10**400, 101])),
             ('test_accuracy', pick(rng, [None, -1e308, 1e308])),
             ('statistics', pick(rng, [0, 1, -1, 10**30])),
             ('costs', dict(row['costs'], flops=pick(rng, [0, -1, 1e308]))),
             ('subnet', pick(rng, [r['subnet'] for r in rows])),
             ('subnet',
              dict(
                  row['subnet'],
                  resolution=pick(rng, [16, 1, 10**6, -16, 10**30]))),
             ('subnet',
              dict(
                  row['subnet'],
                  widths=pick(rng, [[], [8], [10**9] * 2, [16, 16], [1, 1],
                                    [32.0, 32]])))])
        row[key] = new
        return f'{key} = {shown(new)}'

    def arguments(self, kind, rng, marker):
        """Plausible keyword arguments for a type."""
        values = [
            marker, 1, 0, -1, 10**6, 0.5, 'img', ['img'], [1, 1], True, None,
            'bilinear', 'pillow', [], {}, [24, 24], 10,
            dict(type='ReLU'),
            dict(backend='local'), [dict(type='PackInputs')], '{0.__class__}'
        ]
        try:
            given = inspect.signature(self.targets[kind]).parameters.values()
        except (TypeError, ValueError):
            given = ()
        return {
            p.name: pick(rng, values)
            for p in given
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and (
                p.default is p.empty or rng.random() < 0.3)
        }

    def add(self, value, rng, types, marker):
        """Adds a transform, or replaces the head, neck or loss."""
        kind = pick(rng, types)
        arguments = pick(rng, [{},
                               dict(path=marker),
                               dict(args=[marker]),
                               dict(command=f'touch {marker}'),
                               dict(cmd=f'touch {marker}')])
        if rng.random() < 0.7:
            kind = pick(rng, self.allowed)
            arguments = self.arguments(kind, rng, marker)
        config = dict(arguments, type=kind)
        where = pick(rng, [
            'pipeline', 'pipeline', 'head', 'neck', 'loss', 'data_preprocessor'
        ])
        if where == 'pipeline':
            pipeline = value['preprocessing']['pipeline']
            if isinstance(pipeline, list):
                pipeline.insert(int(rng.integers(len(pipeline) + 1)), config)
        elif where == 'data_preprocessor':
            value['preprocessing'][where] = config
        elif where == 'loss':
            value['model']['head'] = dict(
                type='LinearClsHead',
                num_classes=10,
                in_channels=32,
                loss=config)
        else:
            value['model'][where] = config
        return f'{where} of {shown(config, 100)}'

    def write_tensors(self, rng, folder, place):
        """Changes, renames or removes a tensor."""
        name = pick(rng, bank_format.FILES)
        shutil.copytree(self.fixtures.bank, folder)
        found = safetensors.torch.load((folder / name).read_bytes())
        key = pick(rng, sorted(found))
        tensor = found[key]
        kind = pick(rng,
                    ('nan', 'inf', 'negative', 'huge', 'zeros', 'half',
                     'double', 'int', 'bool', 'bfloat16', 'fewer', 'more',
                     'flat', 'empty', 'none', 'key', 'transposed', 'scalar'))
        if kind in ('nan', 'inf'):
            tensor = tensor.float().clone()
            tensor.flatten()[-1] = float(kind)
        elif kind in ('half', 'double', 'int', 'bool', 'bfloat16'):
            tensor = getattr(tensor, kind)()
        elif kind in ('negative', 'huge', 'zeros'):
            tensor = tensor * dict(negative=-1, huge=1e30, zeros=0)[kind]
        elif kind == 'fewer':
            tensor = tensor[:-1]
        elif kind == 'more':
            tensor = torch.cat([tensor, tensor])
        elif kind == 'flat':
            tensor = tensor.flatten()
        elif kind == 'empty':
            tensor = tensor[:0]
        elif kind == 'transposed':
            tensor = tensor.transpose(0, -1)
        elif kind == 'scalar':
            tensor = torch.tensor(1.)
        new = {**found, key: tensor.contiguous()}
        if kind == 'none':
            del new[key]
        elif kind == 'key':
            del new[key]
            new[pick(
                rng,
                ['x', '', '\x1b[31m', '0.', '.', '٣.x', '1.' + key, 'a' * 5000
                 ])] = tensor
        self.store(folder, {name: safetensors.torch.save(new)})
        return f'{name}: {key} {kind}'

    def write_bytes(self, rng, folder, place):
        """Changes bytes of a file, with a checksum that fits or not."""
        shutil.copytree(self.fixtures.bank, folder)
        name = pick(rng, ('bank.json', *bank_format.FILES))
        data = (folder / name).read_bytes()
        begin = 0
        if rng.random() < 0.6 and name != 'bank.json':
            data, what = flipped(data[:2000], rng)[0] + data[2000:], \
                'bits flipped in its header'
        else:
            data, what = pick(
                rng,
                (lambda: flipped(data, rng, begin), lambda: cut(data, rng)))()
        if name == 'bank.json' or rng.random() < 0.3:
            (folder / name).write_bytes(data)
            return f'{name}: {what}'
        self.store(folder, {name: data})
        return f'{name}: {what}, with a correct checksum'

    def write_json(self, rng, folder, place):
        """Replaces the index by JSON that is not one."""
        shutil.copytree(self.fixtures.bank, folder)
        data, what = bad_json(rng)
        (folder / 'bank.json').write_bytes(data)
        return f'bank.json: {what}'

    def write_files(self, rng, folder, place):
        """Removes a file, or replaces it by a folder, a link or a pipe."""
        shutil.copytree(self.fixtures.bank, folder)
        name = pick(rng, ('bank.json', *bank_format.FILES))
        path = folder / name
        kind = pick(
            rng, ('missing', 'folder', 'link', 'loop', 'pipe', 'full', 'empty'))
        data = path.read_bytes()
        path.unlink()
        if kind == 'folder':
            path.mkdir()
        elif kind == 'link':
            (place.inputs / 'other').write_bytes(data)
            path.symlink_to('../other')
        elif kind == 'loop':
            path.symlink_to(name)
        elif kind == 'pipe':
            os.mkfifo(path)
        elif kind == 'full':
            path.symlink_to('/dev/full')
        elif kind == 'empty':
            path.write_bytes(b'')
        return f'{name}: {kind}'

    # --- writing it ---

    def rewrite(self, folder, edit):
        """Writes a copy with an edited index and its correct checksum."""
        rewrite(self.fixtures.bank, folder, edit)

    @staticmethod
    def store(folder, files):
        """Writes files with correct checksums, including the index's."""
        copy = folder.with_name('before')

        def edit(value):
            for name, data in files.items():
                value['files'][name] = dict(
                    bytes=len(data), sha256=bank_format.digest(data))

        folder.rename(copy)
        rewrite(copy, folder, edit)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        shutil.rmtree(copy)


class Calls(Banks):
    """A good bank, called from Python with wrong values."""

    name, share = 'calls', 5

    def case(self, rng, place):
        bad = pick(rng, (*NUMBERS, *TEXTS, None, [], {}, [1], (1, 2), 'flops'))
        image = self.image(rng, place)
        name = pick(rng, ('flops', 'latency_cpu', 'flops', 'nothing'))
        said, use = pick(rng, [
            (f'switch({name}={shown(bad)})',
             lambda net: net.switch(**{name: bad})),
            (f'switch({shown(bad)})', lambda net: net.switch(bad)),
            (f'select({name}={shown(bad)})',
             lambda net: net.select(**{name: bad})),
            (f'predict({image[0]})', lambda net: net.predict(image[1])),
            (f'predict([good, {image[0]}])',
             lambda net: net.predict([self.fixtures.photo, image[1]])),
            (f'predict(batch_size={shown(bad)})',
             lambda net: net.predict(self.fixtures.photo, batch_size=bad)),
            (f'follow({shown(bad)})', lambda net: net.follow(bad)),
            (f'follow(1e6, {image[0]})', lambda net: net.follow(1e6, image[1])),
            *((f'follow({key}={shown(bad)})',
               lambda net, key=key: net.follow(1e6, **{key: bad}))
              for key in ('share', 'patience'))
        ])
        device = pick(rng, ('cpu', ) * 60 +
                      ('cuda:9', 'nothing', '', 'meta', 'cpu:-1'))
        return Case(f'AdaptiveClassifier({device!r}).{said}',
                    lambda: self.use_with(device, use))

    def use_with(self, device, use):
        """Makes the call, and predictions after it."""
        net = AdaptiveClassifier(self.fixtures.bank, device=device)
        use(net)
        for _ in range(8):  # follow() acts after a few predictions
            found, = net.predict(self.fixtures.photo)
        assert np.isfinite(found['pred_scores']).all(), 'scores not finite'

    @staticmethod
    def image(rng, place):
        """Something that is not an image, or is an odd one, and its name."""
        path = place.inputs / 'image.png'
        kind = pick(rng, ('file', 'file', 'array', 'array', 'tensor', 'value'))
        if kind == 'file':
            data, what = bad_image(rng)
            path.write_bytes(data)
            return what, path
        shape = pick(rng, [(24, 24, 3), (24, 24), (1, 1, 3), (0, 24, 3), (3, ),
                           (), (24, 24, 4), (24, 24, 1), (2, 24, 24, 3),
                           (0, 24, 24, 3), (3, 24, 24), (1, 2, 3, 4, 5),
                           (24, 0, 3), (1, 4000, 3)])
        if kind == 'array':
            form = pick(rng, [
                'uint8', 'float32', 'int64', 'bool', 'complex64', 'object',
                'U3', 'uint16', 'float16', 'M8[s]'
            ])
            return f'array {shape} {form}', np.zeros(shape,
                                                     np.uint8).astype(form)
        if kind == 'tensor':
            form = pick(rng, [
                torch.uint8, torch.float32, torch.bool, torch.bfloat16,
                torch.complex64, torch.int64
            ])
            value = pick(rng, [0, 1, float('nan')])
            value = 0 if form != torch.float32 else value
            return f'tensor {shape} {form} of {value}', torch.full(
                shape, value, dtype=form)
        value = pick(rng, (*NUMBERS, *TEXTS, None, [], {}, [None], [[]]))
        return shown(value), value
