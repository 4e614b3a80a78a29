import pytest
import torch

from pss.apis import init_model, load_config
from pss.errors import InputError
from pss.registry import check_config


def test_init_model(root, capsys):
    """Oracle: the paper's space and the shape of logits; nothing printed."""
    model = init_model(root / 'configs' / 'pss_mbv2_imagenet.py')
    assert model.search_space.size == 41_184 and not model.training
    model.switch_to(model.search_space.smallest)
    assert model(torch.zeros(1, 3, 224, 224), mode='tensor').shape == (1, 1000)
    assert 'Initialized' not in capsys.readouterr().out


def test_preprocessing_is_the_configs(root):
    """Oracle: ImageNet's mean and standard deviation, by hand."""
    model = init_model(root / 'configs' / 'pss_mbv2_imagenet.py')
    image = torch.full((1, 3, 4, 4), 100, dtype=torch.uint8)
    found = model.data_preprocessor(dict(inputs=image))['inputs'][0, 0, 0, 0]
    assert found.item() == pytest.approx((100 - 123.675) / 58.395, rel=1e-5)


def test_checkpoint_round_trip(root, tmp_path):
    """Oracle: the weights that were saved."""
    config = load_config(root / 'configs' / 'pss_mbv2_fashion_mnist.py')
    one = init_model(config)
    torch.save(dict(state_dict=one.state_dict()), tmp_path / 'a.pth')
    two = init_model(config, tmp_path / 'a.pth')
    for a, b in zip(one.state_dict().values(), two.state_dict().values()):
        assert torch.equal(a, b)


@pytest.mark.parametrize('path, value, words', [
    ('default_hooks.pss_sampler.pool_sise', 50,
     "default_hooks.pss_sampler.*'pool_sise'.*did you mean 'pool_size'"),
    ('model.backbone.widen_facto', 1, "model.backbone.*'widen_facto'"),
    ('model.channel_last', True, "model .*did you mean 'channels_last'"),
    ('optim_wrapper.pases', 3, "optim_wrapper.*did you mean 'passes'"),
    ('test_cfg.candidate', 3, "test_cfg.*did you mean 'candidates'"),
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


@pytest.mark.parametrize('text, words', [
    (None, 'no such file'),
    ('model = dict(', 'a.py'),
    ('x = nothing', 'a.py'),
    ('_base_ = ["./a.py"]', 'is one of its own _base_ files'),
    ('x = {{ _base_.y }}', 'does each {{...}} stand for something'),
    ('', 'expected fields'),
    ('model = 3', 'model=3: expected a dict'),
    ('import sys; sys.exit(3)', 'SystemExit: exit status 3'),
])
def test_bad_config_files(tmp_path, text, words):
    """Oracle: the file in the message."""
    path = tmp_path / 'a.py'
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words):
        load_config(path)


def test_models_that_cannot_be_built(root):
    """Oracle: the config, the part and the reason; the cause is kept."""
    path = root / 'configs' / 'pss_mbv2_fashion_mnist.py'
    config = load_config(path)
    config.model.head.type = 'NoSuchHead'
    with pytest.raises(InputError) as info:
        init_model(config)
    assert str(info.value).startswith(
        f'config {path}: model.head: KeyError: NoSuchHead is not in the ')
    assert isinstance(info.value.__cause__, KeyError)


def test_a_config_without_a_model(tmp_path):
    """Oracle: the file and the field."""
    (tmp_path / 'a.py').write_text('a = 1')
    with pytest.raises(InputError, match='a.py: model is missing'):
        init_model(tmp_path / 'a.py')
