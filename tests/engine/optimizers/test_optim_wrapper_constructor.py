import copy

import pytest
from mmengine.optim import build_optim_wrapper

from pss.apis import init_model, load_config
from pss.registry import check_config

from ...paths import ROOT


def options_of(model, config):
    """Learning rate and weight decay by parameter, and the parameters'
    order."""
    wrapper = build_optim_wrapper(model, config)
    names = {id(p): name for name, p in model.named_parameters()}
    return [(names[id(p)], group['lr'], group['weight_decay'])
            for group in wrapper.optimizer.param_groups
            for p in group['params']]


@pytest.mark.parametrize('network', ['mbv1', 'mbv2', 'r50'])
def test_equals_that_of_mmengine(network):
    """Oracle: MMEngine's own constructor, parameter by parameter, in its
    order, for the shipped networks of three input channels."""
    config = load_config(ROOT / 'configs' / f'pss_{network}_imagenet.py')
    model = init_model(config)
    default = copy.deepcopy(config.optim_wrapper)
    assert default.pop('constructor') == 'pss.OptimWrapperConstructor'
    found = options_of(model, config.optim_wrapper)
    assert found == options_of(model, default)
    assert len({decay for _, _, decay in found}) == 2


def test_the_first_layer_of_grey_images():
    """Oracle: the paper's recipe: weight decay on convolutions that are not
    depthwise; all else as for three channels."""
    config = load_config(ROOT / 'configs' / 'pss_r50_imagenet.py')
    check_config(config)
    colour = options_of(init_model(config), config.optim_wrapper)
    config.model.backbone.in_channels = 1
    config.model.data_preprocessor = dict(mean=[120.], std=[60.])
    found = options_of(init_model(config), config.optim_wrapper)
    assert found == colour
    assert ('backbone.conv1.weight', 0.3, 1e-4) in found


def test_depthwise_layers_have_none():
    """Oracle: the layers whose groups are as many as their channels."""
    config = load_config(ROOT / 'configs' / 'pss_mbv2_imagenet.py')
    model = init_model(config)
    decay = {
        name: value
        for name, _, value in options_of(model, config.optim_wrapper)
    }
    depthwise = [
        f'{name}.weight' for name, module in model.named_modules()
        if getattr(module, 'is_depthwise', False)
    ]
    assert len(depthwise) == 17
    assert {decay[name] for name in depthwise} == {0.}
