import pytest
import torch

from pss.apis import init_model, load_config
from pss.errors import InputError


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


def test_models_that_cannot_be_built(root):
    """Oracle: config, part and reason in the message; the error keeps its
    cause."""
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
