"""Whether weights fit a model, without a run."""

import copy

import pytest
import torch

from pss.engine.checkpoints.cleaning import clean
from pss.engine.checkpoints.weights import check_same, check_start
from pss.errors import InputError
from pss.registry import MODELS

from ...building import classifier_config

KEY = 'backbone.layer1.0.conv1.weight'


def test_one_subnet_takes_its_part(bank):
    """Oracle: the first channels of wider tensors: from a bank also for
    testing; from a supernet's checkpoint, whose statistics are another
    subnet's, only to start training. Never from narrower ones."""
    from pss.deploy import read_bank
    from pss.deploy.bank_checkpoint import bank_checkpoint
    held = read_bank(bank)
    subnet = held.kept[1].subnet
    config = held.model
    config['backbone']['subnet'] = dict(
        resolution=subnet.resolution, widths=list(subnet.widths))
    config['type'] = 'mmpretrain.ImageClassifier'
    plain = MODELS.build(copy.deepcopy(config))
    found = bank_checkpoint(bank)
    clean(found, 'bank')
    state = found['state_dict']
    head = plain.head.fc.in_features
    state['head.fc.weight'] = state['head.fc.weight'][:, :head]
    assert check_start(state, plain, 'bank') is None
    check_same(state, plain, 'bank', strict=False)
    wide = {k: v for k, v in state.items() if 'kept_statistics' not in k}
    assert check_start(wide, plain, 'wide') is None
    with pytest.raises(InputError, match='another shape: backbone'):
        check_same(wide, plain, 'wide', strict=False)
    wide[KEY] = wide[KEY][:3]
    with pytest.raises(InputError, match=r'1 have another shape: backb'):
        check_start(wide, plain, 'wide')


@pytest.mark.parametrize(
    'kind, plain', [('pss.SlimmableMobileNetV2', 'mmpretrain.MobileNetV2'),
                    ('pss.SlimmableResNet', 'mmpretrain.ResNet')])
def test_checkpoints_of_mmpretrain(kind, plain):
    """Oracle: mmpretrain's own classes, with 1,000 classes; all of the
    backbone is used."""
    config = classifier_config(kind, **({'depth': 50} if 'Res' in kind else {}))
    config['head']['in_channels'] = 2048 if 'Res' in kind else 1280
    ours = MODELS.build(copy.deepcopy(config))
    config['type'] = 'mmpretrain.ImageClassifier'
    config['backbone'] = {**config['backbone'], 'type': plain}
    config['head']['num_classes'] = 1000
    theirs = MODELS.build(config)
    assert check_start(
        theirs.state_dict(), ours,
        'file') == ('file: starts from its initialisation (2): head.fc.weight, '
                    'head.fc.bias')


def test_a_model_without_a_backbone():
    """Oracle: one key that fits is enough; none, or one of another shape, is
    not."""
    model = torch.nn.Linear(2, 3)
    assert 'bias' in check_start({'weight': torch.zeros(3, 2)}, model, 'file')
    with pytest.raises(InputError, match='another shape'):
        check_start({
            'weight': torch.zeros(2, 2),
            'bias': torch.zeros(3)
        }, model, 'file')
    with pytest.raises(InputError, match='none of its keys'):
        check_start({'other': torch.zeros(3, 2)}, model, 'file')
