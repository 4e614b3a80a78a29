import multiprocessing
import os
import runpy
import subprocess
import sys
import threading

import pytest
import torch
from mmengine.registry import HOOKS as MMENGINE_HOOKS

from pss.apis import load_config
from pss.errors import InputError
from pss.registry import HOOKS, MODELS, check_config, importing_nothing

from .building import TINY_RESNET
from .paths import ROOT
from .training import forget_runs

# One user class for each registry, in a module outside this package, as in
# docs/contributing/resource.md.
MODULE = '''
import dataclasses

from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel
from pss.datasets import held_out_split
from pss.engine import SandwichOptimWrapper, SubnetTestLoop
from pss.engine.optimizers import OptimWrapperConstructor
from pss.evaluation.metrics import SubnetAccuracy
from pss.models import SlimmableResNet
from pss.registry import (
    DATASETS, HOOKS, LOOPS, METRICS, MODEL_WRAPPERS, MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, RESOURCES, SAMPLERS)
from pss.resources import Parameters
from pss.sampling import PrioritizedSampler


@RESOURCES.register_module()
class WeightTraffic:
    """Megabytes of weights that one image reads, four bytes each."""

    unit = 'MB'

    def __init__(self, bytes_each=4):
        self.bytes_each = bytes_each

    def table(self, model):
        parameters = Parameters().table(model)
        return dataclasses.replace(parameters, scale=1e6 / self.bytes_each)


@SAMPLERS.register_module()
class MySampler(PrioritizedSampler):
    """Trains the sampled subnet again, by names of its own for the passes."""

    def __init__(self, *args, repeats=1, **kwargs):
        super().__init__(*args, **kwargs)
        self.repeats = repeats

    def plan(self, seed, iteration, progress):
        passes, pool = super().plan(seed, iteration, progress)
        again = [passes[1]._replace(name=f'again_{i}')
                 for i in range(self.repeats)]
        drawn = passes[1]._replace(name='drawn')
        return (passes[0], drawn, *again, passes[2]), pool


@MODELS.register_module()
class MyBackbone(SlimmableResNet):
    def __init__(self, *args, note='', **kwargs):
        super().__init__(*args, **kwargs)


@HOOKS.register_module()
class MyHook(Hook):
    def __init__(self, text):
        self.text = text

    def after_train(self, runner):
        print(f'\\n{self.text}: trained with '
              f'{type(runner.optim_wrapper).__name__}, '
              f'{type(runner.test_loop).__name__}, '
              f'{type(runner.model.backbone).__name__}, '
              f'{len(runner.optim_wrapper.plan)} passes')


@DATASETS.register_module()
def my_split(dataset, every, held_out):
    return held_out_split(dataset, every, held_out)


@LOOPS.register_module()
class MyTestLoop(SubnetTestLoop):
    pass


@OPTIM_WRAPPERS.register_module()
class MyWrapper(SandwichOptimWrapper):
    pass


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MyConstructor(OptimWrapperConstructor):
    pass


@METRICS.register_module()
class MyAccuracy(SubnetAccuracy):
    pass


@MODEL_WRAPPERS.register_module()
class MyDDP(MMDistributedDataParallel):
    pass
'''

CONFIG = '''
_base_ = [{base!r}]
custom_imports = dict(imports=['pss', 'my_classes'])
data_root = {data!r}
train_cfg = dict(max_epochs=1)
load_from = None
model = dict(
    channels_last=False,
    backbone=dict(
        {network!r},
        _delete_=True,
        type='{scope}MyBackbone',
        note='mine',
        search_space=dict(resolutions=[24, 28], divisor=1)),
    head=dict(in_channels=16))
default_hooks = dict(
    bank=dict(strict=True, trust=['my_classes']),
    mine=dict(type='{scope}MyHook', text='said by mine'),
    pss_sampler=dict(
        sampler=dict(type='{scope}MySampler', repeats=2),
        resources=dict(traffic=dict(type='{scope}WeightTraffic')),
        budgets=dict(_delete_=True, traffic=dict(pools=2))))
optim_wrapper = dict(
    type='{scope}MyWrapper', constructor='{scope}MyConstructor')
model_wrapper_cfg = dict(type='{scope}MyDDP')
split = dict(
    _delete_=True, type='{scope}my_split', every=12, held_out=False,
    dataset=dict(type='FashionMNIST', data_root=data_root, split='train',
                 download=False, pipeline=[dict(type='PackInputs')]))
train_dataloader = dict(batch_size=10, num_workers=0, dataset=split)
calibration_dataloader = dict(
    batch_size=10, num_workers=0, dataset=split,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True))
held_out = dict(split, held_out=True)
val_dataloader = dict(num_workers=0, dataset=held_out)
val_evaluator = dict(type='{scope}MyAccuracy')
test_dataloader = dict(num_workers=0, dataset=dict(data_root=data_root))
test_evaluator = dict(type='{scope}MyAccuracy')
val_cfg = dict(calibration_dataloader=calibration_dataloader,
               calibration_batches=1, ranked_pools=0)
test_cfg = dict(
    type='{scope}MyTestLoop', calibration_batches=1, candidates=1, search=None,
    calibration_dataloader=calibration_dataloader,
    selection_dataloader=dict(
        batch_size=10, num_workers=0, dataset=held_out,
        sampler=dict(type='DefaultSampler', shuffle=False)))
'''

TOOLS = ROOT / 'tools'

READ = '''
import sys
from pss.apis import AdaptiveClassifier
net = AdaptiveClassifier('work_dirs/config/bank', trust=['my_classes'])
print(net.resources['traffic'], 'my_classes' in sys.modules)
'''


def started(*words, cwd):
    """Runs a program as a user would, in the user's folder; returns its exit
    status and its output."""
    path = os.pathsep.join(
        [str(cwd), str(ROOT),
         os.environ.get('PYTHONPATH', '')])
    done = subprocess.run([sys.executable, *map(str, words)],
                          cwd=cwd,
                          capture_output=True,
                          text=True,
                          timeout=600,
                          env=dict(
                              os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1'))
    return done.returncode, done.stdout + done.stderr


def forked(*words, cwd):
    """The same in a fork of this process, which has imported all but the user's
    module."""
    said = cwd / 'said.txt'

    def run():
        os.chdir(cwd)
        sys.path.insert(0, str(cwd))
        sys.argv = list(map(str, words))
        sys.stdout = sys.stderr = said.open('w')
        forget_runs()
        runpy.run_path(sys.argv[0], run_name='__main__')

    process = multiprocessing.get_context('fork').Process(target=run)
    process.start()
    process.join()
    return process.exitcode, said.read_text()


@pytest.fixture
def folder(tmp_path, tiny_fashion_mnist):
    """A user's folder with a module and a config."""
    (tmp_path / 'my_classes.py').write_text(MODULE)

    def config(scope):
        path = tmp_path / 'config.py'
        path.write_text(
            CONFIG.format(
                base=str(ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py'),
                data=str(tiny_fashion_mnist),
                network=TINY_RESNET,
                scope=scope))
        return path

    return tmp_path, config


@pytest.mark.parametrize('scope', ['pss.', ''])
def test_classes_of_users(folder, scope):
    """Oracle: what the classes print and cost, from the commands that a user
    types in a folder outside the repository; by their names with our scope and
    without it."""
    cwd, config = folder
    run = started if scope else forked
    code, said = run(TOOLS / 'train.py', config(scope), cwd=cwd)
    assert code == 0, said[-2000:]
    assert ('said by mine: trained with MyWrapper, MyTestLoop, MyBackbone, 5 '
            'passes') in said
    assert '2 pools for traffic' in said
    (cwd / 'read.py').write_text(READ)
    code, said = run(cwd / 'read.py', cwd=cwd)
    assert code == 0 and 'MB True\n' in said, said[-2000:]
    checkpoint = cwd / 'work_dirs' / 'config' / 'epoch_1.pth'
    code, said = run(
        TOOLS / 'test.py',
        config(scope),
        checkpoint,
        '--out',
        'r.json',
        cwd=cwd)
    assert code == 0, said[-2000:]
    assert '"traffic": "MB"' in (cwd / 'r.json').read_text()


@pytest.mark.parametrize('scope', ['pss.', ''])
@pytest.mark.parametrize('change, words', [
    ("note='mine'", "model.backbone ({scope}MyBackbone): unknown key 'notes'"),
    ("text='said", "default_hooks.mine ({scope}MyHook): unknown key 'texts'"),
    ('repeats=2', "sampler ({scope}MySampler): unknown key 'repeatss'"),
])
def test_their_keys_are_checked(folder, scope, change, words):
    """Oracle: the key, before anything is built."""
    cwd, config = folder
    path = config(scope)
    path.write_text(path.read_text().replace(change, change.replace('=', 's=')))
    code, said = forked(TOOLS / 'train.py', path, cwd=cwd)
    assert code == 2 and words.format(scope=scope) in said


def test_a_name_of_others():
    """Oracle: one of MMEngine's classes already has the name and keeps it; ours
    needs its scope, and keys under the bare name are not checked against it."""

    class TimerHookOfMine:

        def __init__(self, only_this=1):
            pass

    name = 'IterTimerHook'
    known = MMENGINE_HOOKS.module_dict[name]
    try:
        HOOKS.register_module(name=name, module=TimerHookOfMine)
        assert MMENGINE_HOOKS.module_dict[name] is known
        check_config(dict(type=name, priority=1, other=2))
        with pytest.raises(InputError, match="unknown key 'other'"):
            check_config(dict(type=f'pss.{name}', other=2))
    finally:
        HOOKS.module_dict.pop(name)


@pytest.mark.parametrize('path, value, words', [
    ('default_hooks.pss_sampler.sampler.pool_sise', 50,
     "default_hooks.pss_sampler.*'pool_sise'.*did you mean 'pool_size'"),
    ('model.backbone.widen_facto', 1, "model.backbone.*'widen_facto'"),
    ('model.channel_last', True, "model .*did you mean 'channels_last'"),
    ('optim_wrapper.clip_grads', 3, "optim_wrapper.*did you mean 'clip_grad'"),
    ('test_cfg.candidate', 3, "test_cfg.*did you mean 'candidates'"),
    ('test_cfg.serch', None, "test_cfg.*did you mean 'search'"),
    ('val_cfg.calibration_batch', 3, "val_cfg.*'calibration_batches'"),
    ('train_dataloader.dataset.evry', 3, "dataset.*did you mean 'every'"),
    ('model.type', 'pss.SupernetClasifier',
     "did you mean 'pss.SupernetClassifier'"),
])
def test_misspelt_keys_of_ours(root, path, value, words):
    """Oracle: the place, the key and the nearest one that is expected."""
    config = load_config(root / 'configs' / 'pss_mbv2_fashion_mnist.py')
    config.merge_from_dict({path: value})
    with pytest.raises(InputError, match=words):
        check_config(config)


def test_keys_of_base_classes_are_accepted(root):
    """Oracle: arguments of mmpretrain's and MMEngine's classes."""
    config = load_config(root / 'configs' / 'pss_mbv2_fashion_mnist.py')
    config.merge_from_dict({
        'model.backbone.frozen_stages': 2,
        'model.train_cfg': None,
        'optim_wrapper.clip_grad': dict(max_norm=1.),
        'optim_wrapper.accumulative_counts': 2,
        'default_hooks.pss_sampler.priority': 'NORMAL',
        'val_evaluator.prefix': 'x',
    })
    check_config(config)


def test_other_threads_build_as_before():
    """Oracle: MMEngine's import by name, in a thread beside one that has it
    switched off, and in that one afterwards, errors and nesting included."""
    found = []
    other = threading.Thread(
        target=lambda: found.append(MODELS.get('torch.nn.Linear')))
    with importing_nothing():
        with pytest.raises(RuntimeError), importing_nothing():
            raise RuntimeError
        assert MODELS.get('torch.nn.Linear') is None
        other.start()
        other.join()
    assert found == [torch.nn.Linear]
    assert MODELS.get('torch.nn.Linear') is torch.nn.Linear
