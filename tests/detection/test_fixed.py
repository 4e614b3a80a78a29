"""Detectors whose backbone is one subnet."""

import pytest
import torch

from .building import BACKBONE, build, fixed_config, samples


def backbone_config(subnet, checkpoint=None, **changes):
    config = dict(
        BACKBONE, out_indices=(4, 6), subnet=subnet.as_dict(), **changes)
    if checkpoint is not None:
        config['init_cfg'] = dict(
            type='Pretrained', checkpoint=checkpoint, prefix='backbone.')
    return config


def fixed(subnet, checkpoint, **changes):
    config = fixed_config().model
    config.backbone = backbone_config(subnet, checkpoint, **changes)
    config.neck.in_channels = [subnet.widths[5], subnet.widths[7]]
    return config


def load(config):
    from mmengine.registry import DefaultScope

    from pss.registry import MODELS
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(config)
        model.init_weights()
    return model.eval()


def test_weights_and_statistics_of_a_bank(classification_bank):
    """Oracle: the classifier's own features at that subnet with its kept
    statistics, for every kept subnet."""
    folder, classifier, bank = classification_bank
    images = torch.randn(2, 3, 40, 56)
    for kept in bank.kept:
        model = load(fixed(kept.subnet, f'bank://{folder}'))
        classifier.switch_to(kept.subnet, bank.statistics[kept.subnet])
        classifier.backbone.out_indices = (4, 6)
        with torch.no_grad():
            for mine, theirs in zip(
                    model.backbone(images), classifier.backbone(images)):
                torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
        assert mine.shape[1] == kept.subnet.widths[7]
    classifier.backbone.out_indices = (7, )


def test_first_channels_of_a_supernets_checkpoint(classification_bank, tmp_path,
                                                  caplog):
    """Oracle: slices of the checkpoint's tensors; the log says whose
    statistics they are."""
    _, classifier, bank = classification_bank
    path = tmp_path / 'epoch.pth'
    torch.save(dict(state_dict=classifier.state_dict()), path)
    subnet = classifier.search_space.smallest
    model = load(fixed(subnet, str(path)))
    wide = classifier.backbone.state_dict()
    for key, value in model.backbone.state_dict().items():
        part = wide[key][tuple(slice(n) for n in value.shape)]
        assert torch.equal(value, part), key


def test_subnet_that_the_bank_lacks(classification_bank):
    """Oracle: the error names the field and the subnets that are there."""
    from pss.errors import InputError
    from pss.structures import Subnet
    folder, _, bank = classification_bank
    kept = {k.subnet for k in bank.kept}
    widths = next(
        w for w in ((32, 16, 24, 24, 48, 72, 120, 240), (24, 16, 24, 24, 48, 72,
                                                         120, 248))
        if Subnet(28, w) not in kept)
    with pytest.raises(
            InputError,
            match='backbone.subnet: resolution=28.*'
            'expected .*24x24-16-24'):
        load(fixed(Subnet(28, widths), f'bank://{folder}'))


def test_checkpoint_of_another_architecture(classification_bank, tmp_path):
    """Oracle: the error names the first tensor that does not fit."""
    from pss.errors import InputError
    _, classifier, _ = classification_bank
    state = classifier.state_dict()
    state['backbone.conv1.conv.weight'] = torch.zeros(32, 3, 5, 5)
    torch.save(dict(state_dict=state), tmp_path / 'other.pth')
    with pytest.raises(InputError, match='conv1.conv.weight has the shape'):
        load(
            fixed(classifier.search_space.smallest,
                  str(tmp_path / 'other.pth')))


@pytest.mark.parametrize('frozen, modules',
                         [(-1, ()), (0, ('conv1', )),
                          (2, ('conv1', 'layer1', 'layer2'))])
def test_frozen_stages_and_norm_eval(frozen, modules):
    """Oracle: as in mmdet: these stages are not trained, and all batch norms
    stay in evaluation mode."""
    from torch.nn.modules.batchnorm import _BatchNorm

    from pss.registry import MODELS
    from pss.structures import Subnet
    subnet = Subnet(24, (24, 16, 24, 24, 48, 72, 120, 240))
    backbone = MODELS.build(
        backbone_config(subnet, frozen_stages=frozen, norm_eval=True))
    backbone.train()  # mmpretrain's returns None
    for name, parameter in backbone.named_parameters():
        assert parameter.requires_grad != name.startswith(
            tuple(f'{m}.' for m in modules))
    assert not any(m.training
                   for m in backbone.modules() if isinstance(m, _BatchNorm))


def test_with_cp_has_the_same_gradients():
    """Oracle: the same detector without it."""
    from pss.structures import Subnet
    subnet = Subnet(24, (24, 16, 24, 24, 48, 72, 120, 240))
    images, annotations = samples()
    grads = []
    for with_cp in (False, True):
        model = build(fixed(subnet, None, with_cp=with_cp)).train()
        loss, _ = model.parse_losses(model(images, annotations, mode='loss'))
        loss.backward()
        grads.append({
            n: p.grad
            for n, p in model.named_parameters() if p.grad is not None
        })
    assert set(grads[0]) == set(grads[1])
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, atol=1e-5, rtol=1e-4)


def test_necks_channels():
    """Oracle: filled in where missing; where they are wrong, an error with the
    expected ones."""
    from pss.apis import feature_channels
    from pss.config import check_detector
    from pss.errors import InputError
    from pss.structures import Subnet
    config = fixed_config()
    subnet = Subnet(24, (24, 16, 24, 24, 48, 72, 120, 240))
    config.model.backbone = backbone_config(subnet)
    assert feature_channels(config.model.backbone) == [72, 240]
    with pytest.raises(
            InputError,
            match=r'model.neck.in_channels=\[96, 320\]: '
            r'expected \[72, 240\].*subnet'):
        check_detector(config)
    config.model.neck.in_channels = None
    check_detector(config)
    assert config.model.neck.in_channels == [72, 240]
    assert build(config.model).neck.in_channels == [72, 240]


@pytest.mark.parametrize(
    'network', [
        dict(type='pss.SlimmableMobileNetV1', out_indices=(1, 2, 3, 4)),
        dict(type='pss.SlimmableMobileNetV2', out_indices=(1, 2, 4, 6)),
        dict(type='pss.SlimmableResNet', depth=50, out_indices=(0, 1, 2, 3)),
    ],
    ids=lambda network: network['type'])
def test_costs_at_detectors_sizes(network):
    """Oracle: fvcore's count of the backbone at 800 x 1333."""
    from pss.models import BackboneAtSize
    from pss.registry import MODELS
    from pss.resources import count_macs, flops_table, macs_by_module
    from pss.structures import Subnet
    backbone = MODELS.build(
        dict(network, search_space=dict(resolutions=[600, 800])))
    costed = BackboneAtSize(backbone, (800, 1333))
    space = backbone.search_space
    table = flops_table(costed)
    chosen = [space.largest, space.smallest, Subnet(600, space.largest.widths)]
    totals = table.total(space.encode(chosen))
    assert costed.image_size(600) == (600, 1000)
    for subnet, total in zip(chosen, totals):
        assert count_macs(costed, subnet) == total
    plain = MODELS.build(
        dict(
            network,
            search_space=dict(resolutions=[600, 800]),
            subnet=Subnet(800, space.smallest.widths).as_dict()))
    [total] = table.total(space.encode([Subnet(800, space.smallest.widths)]))
    assert macs_by_module(plain, (3, 800, 1333))[''] == total
