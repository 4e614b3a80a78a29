import pytest
import torch
from torch import nn

from pss.models import BackboneAtSize
from pss.registry import MODELS
from pss.supernet import Network, Supernet, blank, evaluating, hooked, restoring

from .building import NETWORKS


def has_hooks(model):
    """Whether any module has a hook around its forward pass."""
    return any(m._forward_pre_hooks or m._forward_hooks
               for m in model.modules())


def test_hooked_replaces_inputs_and_outputs():
    """Oracle: the arithmetic by hand; outside of the block, the plain layer."""
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(3.)
    one = torch.ones(1, 1)
    with hooked(
            before=[(layer, lambda m, inputs: (inputs[0] + 1, ))],
            after=[(layer, lambda m, inputs, y: y + 10),
                   (layer, lambda m, inputs, y: None)]):
        assert layer(one).item() == 16.
    assert layer(one).item() == 3.


def test_hooked_removes_hooks_on_errors():
    """Oracle: torch's own dictionaries of hooks are empty, whether the block
    fails or a hook cannot be registered."""
    layers = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
    with pytest.raises(RuntimeError, match='failed'), \
            hooked([(layers[0], print)], [(layers[1], print)]):
        assert has_hooks(layers)
        raise RuntimeError('failed')
    assert not has_hooks(layers)
    with pytest.raises(AttributeError), \
            hooked([(layers[0], print), (None, print)]):
        pass
    assert not has_hooks(layers)


def test_evaluating_restores_every_mode():
    """Oracle: the previous modes, which differ between parts; gradients."""
    layers = nn.Sequential(nn.Dropout(), nn.Dropout(), nn.Linear(1, 1))
    layers[0].eval()
    modes = [m.training for m in layers.modules()]
    with pytest.raises(RuntimeError), evaluating(layers):
        assert not any(m.training for m in layers.modules())
        assert not torch.is_grad_enabled()
        raise RuntimeError
    assert [m.training for m in layers.modules()] == modes
    assert torch.is_grad_enabled()


def test_restoring(supernet):
    """Oracle: the previous subnet and mode."""
    space = supernet.search_space
    supernet.train()
    supernet.switch_to(space.smallest)
    with restoring(supernet):
        supernet.switch_to(space.largest)
        assert not supernet.training
    assert supernet.active_subnet == space.smallest
    assert supernet.training


def supernets(supernet):
    """A supernet of every kind that needs no MMDetection."""
    backbones = [MODELS.build(dict(cfg)) for cfg in NETWORKS.values()]
    return [supernet, *backbones, BackboneAtSize(backbones[0], (32, 40))]


def test_every_supernet_has_all_members(supernet):
    """Oracle: the members that the protocol lists."""
    wanted = {
        name
        for protocol in (Network, Supernet)
        for name in vars(protocol) if not name.startswith('_')
    }
    assert {'costed', 'image_size', 'switch_to', 'modules'} <= wanted
    for model in supernets(supernet):
        assert wanted <= set(dir(model)), type(model)
        assert model.costed.search_space is model.search_space


def test_blank(supernet):
    """Oracle: shapes by hand; the supernet's own type of numbers."""
    *others, at_size = supernets(supernet.double())
    for model in others:
        assert blank(model, 24).shape == (1, 3, 24, 24)
    assert blank(at_size, 24).shape == (1, 3, 24, 30)
    assert blank(supernet, 24).dtype == torch.double
    assert not blank(supernet, 24).any()
