"""The configs build, and agree with SPEC."""

import argparse
import re

import numpy as np
import pytest
import torch

from pss.apis import init_model, load_config
from pss.cli import merge_options
from pss.registry import HOOKS, MODELS, check_config
from pss.resources import Flops, Latency
from pss.structures import budgets_of
from pss_command.arguments import add_options

from ..paths import ROOT

CONFIGS = sorted((ROOT / 'configs').glob('*.py'))


@pytest.fixture(scope='module')
def ends():
    """The FLOPs of the smallest and the largest subnet of a config's model;
    many configs share one."""
    found = {}

    def ends(config):
        key = str(config.model)
        if key not in found:
            model = init_model(config)
            space = model.search_space
            found[key] = Flops().table(model)(
                space.encode([space.smallest, space.largest]))
        return found[key]

    return ends


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config(path, ends, class_folder):
    """Oracle: no unknown key; the model builds, its largest subnet lies in the
    space, and its levels lie between the ends. A config for any data gets
    some."""
    config = load_config(path)
    check_config(config)
    if config.get('data_root', '') is None:
        config.data_root = str(class_folder)
    low, high = ends(config)
    hook = HOOKS.build(config.default_hooks.pss_sampler)
    if isinstance(hook.budgets.get('flops'), list):
        levels = hook.budgets['flops']
        assert low < levels[0].high and levels[-1].low < high
    for entry in hook.resources.values():
        assert isinstance(entry, (Flops, Latency))


@pytest.mark.parametrize(
    'path', [*CONFIGS, *sorted((ROOT / 'configs/detection').glob('*.py'))],
    ids=lambda p: p.stem)
def test_launch_command(path):
    """Oracle: the config's own path, in an existing command, after one line
    that describes the config."""
    what, command = path.read_text().splitlines()[:2]
    assert what.startswith('# ') and what.endswith('.') and len(what) <= 80
    name = path.relative_to(ROOT)
    data = ' --cfg-options data_root=MY_FOLDER' if 'folder' in path.stem else ''
    assert command in (f'# python tools/train.py {name}{data}',
                       f'# bash tools/dist_train.sh {name} 8')


@pytest.mark.parametrize(
    'path', [p for p in CONFIGS if 'What people change' in p.read_text()],
    ids=lambda p: p.stem)
def test_what_people_change(path):
    """Oracle: the tools' own arguments and check of keys; each option changes
    the config."""
    comments, _, _ = path.read_text().partition('\n_base_')
    _, _, listed = comments.partition('What people change')
    options = re.findall(r'[a-z_][a-z_0-9.]*=\S+', listed)
    assert len(options) > 3
    parser = argparse.ArgumentParser()
    add_options(parser)
    for option in options:
        config = load_config(path)
        before = config.to_dict()
        args = parser.parse_args(['--cfg-options', option])
        merge_options(config, args.cfg_options)
        check_config(config)
        if not path.stem.endswith('folder'):  # that lists its defaults
            assert config.to_dict() != before


@pytest.mark.parametrize('network, cpu, gpu', [
    ('mbv1', (10000, 31000, 1000, 20), (70, 240, 10, 16)),
    ('mbv2', (12000, 28000, 1000, 15), (100, 270, 10, 16)),
])
def test_published_levels(network, cpu, gpu):
    """Oracle: SPEC's table: first and last level, step, number of pools; the
    ends have no pool. The multi config has the levels of all resources."""
    multi = load_config(ROOT / 'configs' / f'pss_{network}_imagenet_multi.py')
    for short, resource, published in (('cpu', 'latency_cpu', cpu),
                                       ('gpu', 'latency_gpu', gpu)):
        config = load_config(ROOT / 'configs' /
                             f'pss_{network}_imagenet_{short}_latency.py')
        budgets = dict(config.default_hooks.pss_sampler.budgets)
        assert list(budgets) == [resource]
        first, last, step, pools = published
        levels = [b.level for b in budgets_of(resource, **budgets[resource])]
        assert levels == list(range(first + step, last, step))
        assert len(levels) == pools
        both = multi.default_hooks.pss_sampler.budgets
        assert both[resource] == budgets[resource]
    assert set(both) == {'flops', 'latency_cpu', 'latency_gpu'}


@pytest.mark.parametrize('network', ['mbv1', 'mbv2', 'r50'])
@pytest.mark.parametrize('short, amp', [('bf16', 'bfloat16'),
                                        ('fp16', 'float16')])
def test_mixed_precision(network, short, amp):
    """Oracle: the type in training and in both evaluations; otherwise only the
    memory format of images differs from the base."""
    base = load_config(ROOT / 'configs' / f'pss_{network}_imagenet.py')
    mixed = load_config(ROOT / 'configs' /
                        f'pss_{network}_imagenet_amp_{short}.py')
    base.merge_from_dict({
        'model.channels_last': True,
        **{
            f'{part}.amp': amp
            for part in ('optim_wrapper', 'val_cfg', 'test_cfg')
        }
    })
    assert mixed.to_dict() == base.to_dict()


def test_imagenet_recipe():
    """Oracle: SPEC's recipe, figure by figure."""
    config = load_config(ROOT / 'configs' / 'pss_mbv2_imagenet.py')
    assert config.train_cfg.max_epochs == config.param_scheduler.T_max == 250
    assert config.auto_scale_lr.base_batch_size == 1024
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.nesterov,
            optimizer.weight_decay) == (0.3, 0.9, True, 1e-4)
    assert config.param_scheduler.eta_min == 0
    assert 'warmup' not in str(config.param_scheduler)
    budgets = budgets_of('flops',
                         **config.default_hooks.pss_sampler.budgets.flops)
    assert [b.level for b in budgets] == list(range(80, 291, 10))
    steps = {step.type: step for step in config.train_pipeline}
    assert steps['pss.AntialiasedResizedCrop'].crop_ratio_range == (0.25, 1.0)
    assert [
        steps['pss.DeferredColorJitter'][k]
        for k in ('brightness', 'contrast', 'saturation')
    ] == [0.4] * 3
    assert steps['pss.DeferredLighting'].alphastd == 0.1
    assert config.test_cfg.search == dict(candidates=16, finalists=2)
    assert config.test_cfg.calibration_batches == 9


@pytest.mark.parametrize('data', ['pss', 'pss_host'])
def test_training_and_tests_see_the_same_colours(data, tmp_path):
    """Oracle: a red image is as red for training and for calibration as for
    tests: means of the channels, after normalisation was undone; and the two
    kinds of training pipelines draw alike."""
    import cv2
    from mmengine.dataset import Compose
    from mmengine.registry import DefaultScope
    image = np.empty((300, 400, 3), np.uint8)
    image[:] = 40, 90, 180  # blue, green, red
    cv2.imwrite(str(tmp_path / 'red.png'), image)
    text = (ROOT / 'configs' / 'pss_mbv2_imagenet.py').read_text()
    name = tmp_path / 'config.py'
    name.write_text(
        text.replace("'_base_/", f"'{ROOT}/configs/_base_/").replace(
            'imagenet_bs128_pss.py', f'imagenet_bs128_{data}.py'))
    config = load_config(name)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        preprocess = MODELS.build(
            dict(dict(type='ClsDataPreprocessor'), **config.data_preprocessor))
        for loader in (config.train_dataloader,
                       config.val_cfg.calibration_dataloader,
                       config.test_cfg.calibration_dataloader,
                       config.test_dataloader):
            dataset = loader.dataset.get('dataset', loader.dataset)
            # the same change for all channels, on average
            steps = Compose([
                step for step in dataset.pipeline
                if 'ColorJitter' not in step.type
            ])
            found = []
            np.random.seed(0)
            for _ in range(100):
                packed = steps(dict(img_path=str(tmp_path / 'red.png')))
                inputs = preprocess(
                    dict(
                        inputs=packed['inputs'][None],
                        data_samples=[packed['data_samples']]))['inputs']
                found.append((inputs * preprocess.std + preprocess.mean).mean(
                    (0, 2, 3)))
            # the standard error of the mean of 100 is 0.6 at most
            np.testing.assert_allclose(
                torch.stack(found).mean(0), [180, 90, 40], atol=3)


def test_weight_decay_rule():
    """Oracle: SPEC's rule, applied to the shapes of the parameters."""
    from mmengine.optim import build_optim_wrapper
    config = load_config(ROOT / 'configs' / 'pss_mbv2_imagenet.py')
    model = init_model(config)
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    decay = {
        id(p): group['weight_decay']
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    }
    for name, parameter in model.named_parameters():
        dense = parameter.dim() == 2 or (parameter.dim() == 4
                                         and parameter.shape[1] > 1)
        assert decay[id(parameter)] == (1e-4 if dense else 0), name


def test_initialisation():
    """Oracle: std sqrt(2 / (k * k * out)) of convolutions, 0.01 of the
    classifier, from SPEC."""
    model = init_model(ROOT / 'configs' / 'pss_mbv2_imagenet.py')
    for name, parameter in model.named_parameters():
        if parameter.dim() == 4 and parameter.numel() > 5000:
            k = parameter.shape[2]
            expected = (2 / (k * k * parameter.shape[0]))**0.5
            assert parameter.std().item() == pytest.approx(
                expected, rel=0.05), name
    assert model.head.fc.weight.std().item() == pytest.approx(0.01, rel=0.02)
