import copy
import logging
import os
import uuid
import zipfile
from collections import Counter, OrderedDict

import pytest
import torch
from mmengine.runner import Runner

from pss.engine import CheckedLoadHook
from pss.errors import InputError
from pss.registry import MODELS

from ...building import SMALL_RESNET, classifier_config
from ...stress.corrupt import small_config


def build(config, resume=False, load_from=None, **changes):
    """A runner with the hook, as the tools build it."""
    config = copy.deepcopy(config)
    config.merge_from_dict(changes)
    config.resume, config.load_from = resume, load_from and str(load_from)
    config.experiment_name = uuid.uuid4().hex
    runner = Runner.from_cfg(config)
    runner.register_hook(CheckedLoadHook())
    return runner


@pytest.fixture(scope='module')
def small(tiny_fashion_mnist, tmp_path_factory):
    """A config of a small ResNet that trains two iterations, and a checkpoint
    of it."""
    folder = tmp_path_factory.mktemp('small')
    config = small_config(folder, tiny_fashion_mnist, log_level='WARNING')
    config.train_cfg.max_epochs = 1
    build(config).train()
    return config, folder / 'epoch_1.pth'


def load(runner):
    """Does what Runner.train() does before it trains."""
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.param_schedulers = runner.build_param_scheduler(
        runner.param_schedulers)
    runner.call_hook('before_run')
    runner.load_or_resume()


def changed(small, folder, change):
    """A copy of the checkpoint, and its path."""
    checkpoint = torch.load(small[1], weights_only=True)
    checkpoint = change(checkpoint) or checkpoint
    torch.save(checkpoint, folder / 'changed.pth')
    return folder / 'changed.pth'


class NoTraining(CheckedLoadHook):
    """Fails if an iteration begins."""

    priority = 'LOWEST'

    def before_train_iter(self, *args, **kwargs):
        raise AssertionError('trains')


def state_of(features, **backbone):
    config = classifier_config(**backbone)
    config['head']['in_channels'] = features
    torch.manual_seed(1)
    return MODELS.build(config).state_dict()


def without_prefix(checkpoint):
    checkpoint['state_dict'] = {
        key[len('backbone.'):]: value
        for key, value in checkpoint['state_dict'].items()
        if key.startswith('backbone.')
    }


KEY = 'backbone.layer1.0.conv1.weight'

HEAD = 'head.fc.weight'


def put(key, value):
    return lambda c: c['state_dict'].update({key: value})


@pytest.mark.parametrize('change, words', [
    (lambda c: c.update(state_dict=state_of(1280)),
     r'SupernetClassifier.* keys of the backbone are missing: backbone'),
    (lambda c: c.update(
        state_dict=state_of(64, **{
            **SMALL_RESNET, 'base_channels': 64
        })), 'have another shape: backbone'),
    (lambda c: c.update(state_dict={'a': 'text'}), 'a is a str; expected a de'),
    (lambda c: c.update(state_dict='text'), 'has no state_dict'),
    (lambda c: [1], 'has no state_dict'),
    (lambda c: c['state_dict'], 'has no state_dict'),
    (lambda c: c.update(state_dict={}), 'keys of the backbone are missing'),
    (without_prefix, r'only a backbone, with keys such as (\S+); expected '
     r'backbone.\1'),
    (lambda c: c['state_dict'].pop(KEY) is None,
     f'1 keys of the backbone are missing: {KEY}$'),
    (lambda c: c.update(meta='text'), "meta is 'text'; expected a dict"),
    (put(KEY, torch.full((32, 32, 3, 3), float('nan'))), f'{KEY} is not fin'),
    (put(KEY, torch.full((32, 32, 3, 3), 1e300, dtype=float)), 'not finite'),
    (put(KEY,
         torch.zeros(32, 32, 3, 3).int()), 'another kind of number'),
    (put(KEY,
         torch.zeros(32, 32, 3, 3).to_sparse()), 'layout torch.sparse'),
    (put(KEY, torch.zeros(32, 32, 3, 3, device='meta')), 'without values'),
    (put('head.fc.bias', torch.full((10, ), float('inf'))), 'head.fc.bias is'),
    (put(3, torch.zeros(3)), 'has the key 3; expected a name'),
    (put(f'module.{KEY}', torch.zeros(32, 32, 3, 3)), 'has both'),
])
def test_weights_that_nothing_starts_from(small, tmp_path, change, words):
    """Oracle: an error that names file and key, and no iteration."""
    path = changed(small, tmp_path, change)
    runner = build(small[0], load_from=path)
    runner.register_hook(NoTraining())
    with pytest.raises(InputError, match=words) as error:
        runner.train()
    assert str(path) in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('how', ['one bit', 'packed', 'pipe'])
@pytest.mark.parametrize('resume', [True, False])
def test_files_are_checked_before_they_are_unpacked(small, tmp_path, how,
                                                    resume):
    """Oracle: the intact file loads; torch does not notice the flipped bit."""
    path = changed(small, tmp_path, lambda checkpoint: None)
    load(build(small[0], resume, path))
    if how == 'one bit':
        data = bytearray(path.read_bytes())
        value = torch.load(path, weights_only=True)['state_dict'][HEAD]
        data[data.index(value.numpy().tobytes()) + 9] ^= 1
        path.write_bytes(data)
        assert not torch.equal(
            value,
            torch.load(path, weights_only=True)['state_dict'][HEAD])
    elif how == 'packed':
        with zipfile.ZipFile(path) as archive:
            entries = [(n, archive.read(n)) for n in archive.namelist()]
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries:
                archive.writestr(name, content)
    else:
        path.unlink()
        os.mkfifo(path)
    words = {
        'one bit': 'checksum of',
        'packed': 'is compressed',
        'pipe': 'is a named pipe'
    }[how]
    with pytest.raises(InputError, match=f'checkpoint {path}: .*{words}'):
        load(build(small[0], resume, path))


def warnings_of(runner, action, caplog):
    runner.logger.addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        action()
    return [
        record.getMessage() for record in caplog.records
        if 'checkpoint' in record.getMessage()
    ]


def test_another_head_starts_from_its_initialisation(small, tmp_path, caplog):
    """Oracle: the backbone's values; one warning, with the keys of the head and
    the one that is not in the model."""

    def other_classes(checkpoint):
        checkpoint['state_dict'].update({
            'head.fc.weight': torch.zeros(7, 32),
            'extra': torch.zeros(3)
        })
        del checkpoint['state_dict']['head.fc.bias']

    path = changed(small, tmp_path, other_classes)
    runner = build(small[0], load_from=path)
    found = warnings_of(runner, lambda: load(runner), caplog)
    assert found == [
        f'checkpoint {path}: starts from its initialisation (2): '
        'head.fc.weight, head.fc.bias; is not in the model (1): extra'
    ]
    state = torch.load(path, weights_only=True)['state_dict']
    assert torch.equal(runner.model.state_dict()[KEY], state[KEY])


@pytest.mark.parametrize('change', [
    lambda c: None, lambda c: c.pop('meta') is None, lambda c: c.update(
        state_dict=OrderedDict(
            (f'module.{k}', v) for k, v in c['state_dict'].items())),
    lambda c: c.update(state_dict={
        k: v
        for k, v in c['state_dict'].items() if 'num_batches' not in k
    })
])
def test_what_fits_is_loaded(small, tmp_path, caplog, change):
    """Oracle: the checkpoint's values; no warning. Counters of batch norms,
    and the prefix of a distributed wrapper, do not matter."""
    path = changed(small, tmp_path, lambda c: change(c) and None)
    runner = build(small[0], load_from=path)
    assert warnings_of(runner, lambda: load(runner), caplog) == []
    state = torch.load(small[1], weights_only=True)['state_dict']
    for key, value in runner.model.state_dict().items():
        if 'num_batches' not in key:
            assert torch.equal(value, state[key])


@pytest.mark.parametrize('resume', [True, False])
@pytest.mark.parametrize('change, words', [
    (put('head.fc.weight', torch.zeros(7, 32)), 'have another shape: head'),
    (lambda c: c['state_dict'].pop('head.fc.bias') is None, 'are missing: hea'),
    (put('extra', torch.zeros(3)), 'unknown: extra')
])
def test_resuming_and_testing_need_all(small, tmp_path, resume, change, words):
    """Oracle: an error for the same changes that training may start from."""
    path = changed(small, tmp_path, lambda c: change(c) and None)
    runner = build(small[0], resume, path)
    with pytest.raises(InputError, match=words):
        runner.train() if resume else runner.test()


class Fake(OrderedDict):
    """A dict that a pickle restores as an OrderedDict with replaced methods."""

    def __reduce__(self):
        return OrderedDict, (), self.attributes, None, iter(self.items())


@pytest.mark.parametrize('methods', [{}, {'pop': Counter}])
def test_a_config_in_a_checkpoint_is_not_run(small, tmp_path, monkeypatch,
                                             methods):
    """Oracle: a file that the program in the entry would create. MMEngine's
    Runner reads meta.config as a Python file; the config of this run has no
    pss.ResumeHook, and the second file replaces methods of meta."""
    # a tool that was called in this process may have set it
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)
    proof = tmp_path / 'proof'

    def plant(checkpoint):
        checkpoint['message_hub']['log_scalars'] = {}
        meta = Fake(
            checkpoint['meta'], config=f'open({str(proof)!r}, "w").close()')
        meta.attributes = methods
        checkpoint['meta'] = meta if methods else dict(meta)

    path = changed(small, tmp_path, plant)
    config = copy.deepcopy(small[0])
    for name, hook in list(config.default_hooks.items()):
        if hook.get('type') == 'pss.ResumeHook':
            config.default_hooks.pop(name)
    config.work_dir = str(tmp_path / 'work')
    load(build(config, True, path))
    assert not proof.exists()
    bare = build(config, True, path)
    bare._hooks = [
        hook for hook in bare._hooks if not isinstance(hook, CheckedLoadHook)
    ]
    load(bare)
    assert proof.exists()  # otherwise the test would prove nothing
