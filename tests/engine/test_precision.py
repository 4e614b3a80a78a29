import copy

import pytest
import torch
from mmengine.runner import Runner

from pss.cli import mix_precision
from pss.engine import PSSSamplerHook
from pss.engine.precision import amp_type, default_amp
from pss.errors import InputError

from ..building import NETWORKS, classifier_config


def note_types(model, seen):
    """Notes the types that the first convolution returns, by what the network
    is doing."""

    def note(module, args, output):
        if len(output) == 1:  # a blank image, to count FLOPs
            return
        kind = 'train' if torch.is_grad_enabled() else 'evaluate'
        seen.setdefault(kind, set()).add(output.dtype)

    model.backbone.conv1.register_forward_hook(note)


def test_bfloat16_end_to_end_on_a_cpu(tiny_config):
    """Oracle: convolutions return bfloat16 in training, validation and test;
    weights, statistics and scores are float32 or more; the accuracies are those
    of float32 evaluation of the same weights, to 3 of 30 images."""
    mix_precision(tiny_config)
    assert tiny_config.optim_wrapper.amp == tiny_config.val_cfg.amp == \
        tiny_config.test_cfg.amp == 'bfloat16'
    tiny_config.val_cfg.ranked_pools = 2
    tiny_config.experiment_name = 'bfloat16'
    tiny_config.train_cfg.max_epochs = 1
    runner = Runner.from_cfg(copy.deepcopy(tiny_config))
    seen = {}
    note_types(runner.model, seen)
    runner.train()
    assert seen == {'train': {torch.bfloat16}, 'evaluate': {torch.bfloat16}}
    assert all(p.dtype == torch.float32 for p in runner.model.parameters())
    scores = [
        score for hook in runner.hooks if isinstance(hook, PSSSamplerHook)
        for pool in hook.sampler.pools for score in pool.scores.values()
    ]
    assert len(scores) > 3 and all(-20 < score < 0 for score in scores)

    def tested(amp):
        config = copy.deepcopy(tiny_config)
        config.merge_from_dict(
            dict(
                load_from=tiny_config.work_dir + '/epoch_1.pth',
                experiment_name=f'test {amp}',
                test_cfg=dict(amp=amp, candidates=1)))
        runner = Runner.from_cfg(config)
        types = {}
        note_types(runner.model, types)
        metrics = runner.test()
        return metrics, types['evaluate'], runner.test_loop.statistics

    full, types, statistics = tested(None)
    assert types == {torch.float32}
    mixed, types, other = tested('bfloat16')
    assert types == {torch.bfloat16}
    assert mixed == pytest.approx(full, abs=100 * 3 / 30)
    for subnet, values in statistics.items():
        for name, pair in values.items():
            for one, two in zip(pair, other[subnet][name]):
                assert two.dtype == torch.float32
                assert (two - one).norm() <= 0.1 * one.norm() + 0.05


def test_the_config_decides_the_type(tiny_config):
    """Oracle: --amp keeps a type that the config names."""
    tiny_config.optim_wrapper.amp = 'float16'
    mix_precision(tiny_config)
    assert tiny_config.val_cfg.amp == tiny_config.test_cfg.amp == 'float16'
    with pytest.raises(InputError, match="amp='float8'"):
        amp_type('float8')
    assert default_amp() == 'bfloat16' or torch.cuda.is_available()


@pytest.mark.parametrize('name', NETWORKS)
def test_channels_last_is_a_switch_of_every_network(name):
    """Oracle: the same network with channels first; the memory format of
    weights and of the last block's input."""
    from pss.registry import MODELS
    config = classifier_config(**NETWORKS[name])
    config['head']['in_channels'] = dict(mbv1=1024, mbv2=1280, r50=2048)[name]
    torch.manual_seed(0)
    plain = MODELS.build(copy.deepcopy(config)).eval()
    last = MODELS.build(dict(config, channels_last=True)).eval()
    last.load_state_dict(plain.state_dict())
    blocks = [m for m in last.modules() if isinstance(m, torch.nn.Conv2d)]
    assert blocks[0].weight.is_contiguous(memory_format=torch.channels_last)
    seen = []
    blocks[-1].register_forward_pre_hook(lambda module, args: seen.append(args[
        0].is_contiguous(memory_format=torch.channels_last)))
    size = last.search_space.largest.resolution
    images = torch.randn(2, 3, size, size)
    for model in (plain, last):
        model.switch_to(model.search_space.smallest)
    torch.testing.assert_close(
        last(images), plain(images), atol=1e-5, rtol=1e-4)
    assert seen == [True]
