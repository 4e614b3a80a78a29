"""Bad configs, given to the tools that read them."""

import json

import numpy as np

from pss.apis import load_config

from .cases import tool_case
from .fixtures import write_config
from .values import bad_json, changed, pick

TYPES = ('Nothing', 'pss.Nothing', 'pss.', '', 'os.getcwd', 'a.b.c', None, 1,
         [], {}, 'SGD', 'Adam', 'Accuracy', 'DefaultSampler', 'InfiniteSampler',
         'ImageNet', 'FashionMNIST', 'CIFAR10', 'EpochBasedTrainLoop',
         'IterBasedTrainLoop', 'ValLoop', 'TestLoop', 'pss.SubnetTestLoop',
         'pss.SubnetValLoop', 'pss.SupernetClassifier', 'ImageClassifier',
         'pss.SlimmableMobileNetV1', 'pss.SlimmableMobileNetV2', 'ResNet',
         'pss.SlimmableResNet', 'LinearClsHead', 'StackedLinearClsHead',
         'GlobalAveragePooling', 'CrossEntropyLoss', 'LabelSmoothLoss',
         'FocalLoss', 'pss.PSSSamplerHook', 'pss.BankHook', 'CheckpointHook',
         'LoggerHook', 'pss.ResumeHook', 'EMAHook', 'CosineAnnealingLR',
         'LinearLR', 'MultiStepLR', 'OptimWrapper', 'AmpOptimWrapper',
         'PackInputs', 'LoadImageFromFile', 'RandomCrop', 'Normalize',
         'pss.HeldOutSplit', 'pss.FLOPs', 'pss.Latency', 'pss.Parameters',
         'pss.PeakMemory', 'pss.SubnetAccuracy', 'UniversalVisualizer',
         'LocalVisBackend', 'TensorboardVisBackend', 'WandbVisBackend',
         'ClsDataPreprocessor', 'torch.nn.Linear', 'Runner', 'mmengine.Config')
KEYS = [('sampler', {
    'pool_size': 3
}), ('sampler', {
    'pool_sizes': 3
}), ('sampler', {
    'type': 'pss.UniformSampler'
}), ('budgets', {}), ('resources', {}),
        ('resources', {
            'a': {
                'type': 'pss.Parameters'
            }
        }), ('resources', {
            'flops': {
                'type': 'pss.Parameters'
            }
        }), ('resources', {
            'a b': {
                'type': 'pss.PeakMemory'
            }
        }),
        ('resources', {
            'm': {
                'type': 'pss.Latency',
                'table': 'nowhere.json'
            }
        }), ('budgets', {
            'flops': {
                'start': 2,
                'stop': 1,
                'step': 0
            }
        }), ('budgets', {
            'flops': {
                'start': 1.5,
                'stop': 3,
                'step': 0.5
            }
        }), ('budgets', {
            'flops': {
                'pools': 10**9
            }
        }), ('budgets', {
            'x': {
                'pools': 1
            }
        }), ('budgets', {
            'flops': {
                'start': 0,
                'stop': 1e9,
                'step': 1e-9
            }
        }), ('type', 'Nothing'),
        ('init_cfg', {
            'type': 'Pretrained',
            'checkpoint': 'nowhere.pth'
        }), ('subnet', {}),
        ('subnet', {
            'resolution': 24,
            'widths': [32, 32, 32]
        }), ('init_cfg', [{
            'type': 'Constant',
            'layer': 'Conv2d',
            'val': 1e30
        }]),
        ('search_space', {
            'resolutions': {
                'start': 16,
                'stop': 24,
                'step': 0
            }
        }), ('search_space', {
            'resolutions': [16, 16]
        }), ('frozen_stages', 1),
        ('search_space', {
            'resolutions': [20],
            'multipliers': [0.5, 1.0]
        }), ('search_space', {
            'resolutions': [20],
            'divisor': 0
        }), ('search_space', {
            'resolutions': [20, 24],
            'multipliers': [1e-9, 1]
        }),
        ('search_space', {
            'resolutions': {
                'start': 1,
                'stop': 10**9,
                'step': 1
            }
        }), ('amp', 'float16'), ('amp', 'bfloat16'), ('amp', 'int8'),
        ('amp', True), ('accumulative_counts', 3),
        ('clip_grad', {
            'max_norm': 'x'
        }), ('clip_grad', {
            'max_norm': 1e-30
        }), ('loss_scale', 'dynamic'), ('val_interval', 0),
        ('dynamic_intervals', [(1, 0)]), ('fp16', True),
        ('channels_last', 'yes'), ('candidates', 0), ('by_epoch', False),
        ('search', {}), ('search', {
            'candidates': 2,
            'finalists': 3
        }), ('search', {
            'budgets': {
                'flops': [1, 2]
            }
        }), ('search', {
            'budgets': {
                'flops': {
                    'start': 1
                }
            }
        }), ('max_iters', 2), ('indices', [10**9]), ('test_mode', 'x'),
        ('drop_last', True), ('batch_sampler', {
            'type': 'BatchSampler'
        }), ('after_training', True), ('out', '/proc/bank'), ('strict', True),
        ('metric', 'nothing'), ('topk', (1, 50)), ('topk', ()), ('topk', (0, )),
        ('prefix', '\x1b[31m'), ('every', 0), ('every', 1), ('every', 10**9),
        ('persistent_workers', True), ('prefetch_factor', 2)]
SHARES = dict(
    train=7,
    test=4,
    subnet_cost=6,
    sample_subnets=3,
    extract_subnet=3,
    build_latency_table=2,
    rank_pools=1,
    build_bank=1)
# larger values would only take longer, as anybody expects
AT_MOST = {'max_epochs': 2, 'num_workers': 1, 'max_iters': 3, 'timeout': 60}
BASES = ("_base_ = 'bad.py'\n", "_base_ = ['absent.py']\n", "_base_ = 3\n",
         "_base_ = [None]\n", "_base_ = ''\n", "_base_ = '.'\n",
         "_base_ = '../../user/notes.txt'\n", "_base_ = '/dev/full'\n",
         "_base_ = {}\n", "_base_ = ['bad.py', 'bad.py']\n",
         "_base_ = 'mmpretrain::nothing.py'\n", "_base_ = 'nothing::x.py'\n",
         "_base_ = 'one.py'\n", "_base_ = ['good.py', 'good.py']\n",
         "_base_ = 'good.py'\nmodel = 3\n", "_base_ = 'good.py'\nmodel = dict("
         "backbone=dict(_delete_=True))\n", "_base_ = 'good.py'\nmodel = dict("
         "_delete_=True)\n", "_base_ = 'good.py'\nx = {{_base_.nothing}}\n",
         "_base_ = 'good.py'\nx = {{_base_.model.nothing}}\n",
         "_base_ = 'good.py'\nx = '{{ nothing }}'\n", "x = {{ fileDirname }}\n",
         "_base_ = 'good.py'\nx = _base_.nothing\n", "x = {{_base_.model}}\n",
         "_base_ = 'good.py'\n_base_.model = 1\n", "_base_ = ['a'] * 10**9\n",
         "_base_ = 'good.json'\n", "_base_ = 'bad.yaml'\n")
PROGRAMS = (
    'model = dict(\n', 'model = \n', '  model = 1\n', 'def f(:\n', 'x = 1 +\n',
    '\tx = 1\n  y = 2\n', 'x = "\n', '\x00', '\x1b[31m', 'é = 1\n', '<<<<\n',
    '(' * 300 + '\n', 'x = ' + '-' * 100_000 + '1\n', 'print "x"\n', '1/0\n',
    'raise ValueError("two\\nlines")\n', 'raise KeyError("\\x1b[31m")\n',
    'raise Exception\n', 'raise SystemExit\n', 'raise SystemExit("text")\n',
    'import sys\nsys.exit(0)\n', 'import sys\nsys.exit(5)\n',
    'raise MemoryError\n', 'assert False\n', 'raise RecursionError\n',
    'def f():\n    f()\nf()\n', 'nothing\n', 'import nothing\n',
    'from pss import nothing\n', 'open("absent")\n', 'raise StopIteration\n',
    'x = [].pop()\n', '"".encode("nothing")\n', 'x = int("1" * 10000)\n',
    'bytes([300])\n', 'x = 10**5000\n',
    'raise ExceptionGroup("", [OSError()])\n',
    'class A(Exception):\n    def __str__(self):\n        raise OSError\n'
    'raise A\n', 'raise OSError\n', 'raise ValueError("")\n', '', '# text\n',
    'model = None\n', 'model = []\n', 'model = "text"\n', 'model = 3\n',
    'model = dict()\n', 'model = dict(type=None)\n', 'filename = 1\n',
    'model = lambda: 1\n', 'import torch\nmodel = dict(type=torch.nn.Linear)\n',
    'import torch\nmodel = torch.nn.Linear(1, 1)\n', 'text = 1\n',
    'model = dict(type="pss.SupernetClassifier")\n', 'pretty_text = 1\n',
    'model = dict(type="pss.SupernetClassifier", backbone=3)\n',
    'custom_imports = dict(imports="nothing")\n', 'custom_imports = 3\n',
    'custom_imports = dict(imports=["nothing"])\n', 'default_scope = 3\n',
    'custom_imports = dict(imports=["pss.apis.nothing"], '
    'allow_failed_imports=True)\n', 'file = open(__file__)\n',
    'x = {1: 2, None: 3, (1, 2): 4}\n', 'x = {}\nx["x"] = x\n',
    'x = []\nx.append(x)\n', 'from mmengine.config import read_base\n'
    'with read_base():\n    from .nothing import *\n',
    'from mmengine.config import read_base\nwith read_base():\n    '
    'from .good import *\n', 'with read_base():\n    from .good import x\n')


class Configs:
    """The config of a small training, wrong in one to three places."""

    name, share = 'configs', 20

    def __init__(self, fixtures) -> None:
        self.fixtures = fixtures
        self.config = load_config(fixtures.config).to_dict()
        self.tools = [
            tool for tool, share in SHARES.items() for _ in range(share)
        ]
        rows = json.loads(fixtures.subnets.read_text())
        self.one, self.level = rows[0], rows[0]['mflops']

    def case(self, rng, place):
        chance = rng.random()
        tool = pick(rng, self.tools)
        if chance < 0.78:
            path, what = self.data(rng, place, tool)
        elif chance < 0.98:
            path, what = self.program(rng, place)
        else:
            path = place.inputs / f'bad.{pick(rng, ["json", "yaml", "py"])}'
            data, what = bad_json(rng)
            path.write_bytes(data)
        return tool_case(f'{path.name}: {what}', tool, place,
                         *self.words(tool, path, place))

    def data(self, rng, place, tool):
        """Writes a config that is plain data, as Python, JSON or YAML."""
        # tools that only build the network do not read the other parts
        parts = self.config if tool in ('train', 'test', 'build_bank',
                                        'rank_pools') else {
                                            name: self.config[name]
                                            for name in ('model',
                                                         'default_hooks',
                                                         'custom_imports',
                                                         'default_scope')
                                        }
        new, what = changed(parts, rng, pick(rng, (1, 1, 1, 2, 3)), TYPES, KEYS)
        config = {
            name: value
            for name, value in self.config.items() if name not in parts
        }
        config = limited({**config, **new})
        kind = pick(rng, ('py', 'py', 'py', 'json', 'yaml', 'yml'))
        path = place.inputs / f'bad.{kind}'
        try:
            write_config(config, path)
        except (ValueError, RecursionError):  # there is no such JSON or YAML
            path = path.with_suffix('.py')
            write_config(config, path)
        return path, what

    def program(self, rng, place):
        """Writes a config that is a program, with bases or other statements."""
        write_config(self.config, place.inputs / 'good.py')
        write_config(self.config, place.inputs / 'good.json')
        (place.inputs / 'one.py').write_text("_base_ = 'two.py'\n")
        (place.inputs / 'two.py').write_text("_base_ = 'one.py'\n")
        path = place.inputs / 'bad.py'
        text = pick(rng, (*BASES, *PROGRAMS, *PROGRAMS))
        what = ascii(text)[:80]
        if text in PROGRAMS and rng.random() < 0.5:
            text = (place.inputs / 'good.py').read_text() + text
            what += ' at the end'
        path.write_text(
            text,
            encoding=pick(rng,
                          ('utf-8', 'utf-8', 'utf-8', 'utf-16', 'latin-1')),
            errors='replace')
        return path, what

    def words(self, tool, path, place):
        """The command line, whose other words are good."""
        f, out = self.fixtures, place.out
        work = ['--work-dir', out / 'work']
        subnet = place.inputs / 'subnet.json'
        subnet.write_text(json.dumps(self.one))
        return [
            path, *dict(
                train=work,
                test=[f.checkpoint, *work],
                build_bank=[f.checkpoint, *work, '--out', out / 'bank'],
                rank_pools=[f.checkpoint, *work, '--out', out / 'ranks.json'],
                subnet_cost=[f.subnets, '--out', out / 's.json'],
                sample_subnets=[
                    '--level', self.level, '--step', 0.5, '--num', 3, '--out',
                    out / 's.json'
                ],
                extract_subnet=[
                    f.checkpoint, '--subnet', subnet, '--out', out / 'x.pth'
                ],
                build_latency_table=[
                    '--out', out / 't.json', '--max-blocks', 2,
                    '--min-run-time', 0.0001, '--rounds', 1
                ],
            )[tool]
        ]


def limited(value, key=None):
    """The config without values that are good but take long."""
    if isinstance(value, dict):
        return {k: limited(v, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(limited(v, key) for v in value)
    most = AT_MOST.get(key)
    if most and isinstance(
            value,
        (int, float)) and not np.isnan(float(min(value, 1e9))) and value > most:
        return most
    return value
