import copy
import dataclasses

import pytest
import torch

from pss.deploy import build_supernet, kept_networks
from pss.errors import InputError
from pss.models import SupernetClassifier, SupernetDetector

from ..building import random_bank


def test_supernet_and_kept_networks():
    """Oracle: the supernet that the bank was made of, at each kept subnet with
    its statistics."""
    model, bank = random_bank(2)
    built = build_supernet(bank, SupernetClassifier)
    assert not built.training
    assert not any(p.requires_grad for p in built.parameters())
    images = torch.randn(2, *bank.input_shape)
    largest = model.search_space.largest
    with torch.no_grad():
        model.switch_to(largest, bank.statistics[largest])
        torch.testing.assert_close(built(images), model(images))
        networks, weights = kept_networks(bank, built, 1e9)
        assert set(networks) == {kept.subnet for kept in bank.kept}
        assert weights.copied_bytes > 0
        for subnet, network in networks.items():
            model.switch_to(subnet, bank.statistics[subnet])
            torch.testing.assert_close(
                network(images), model(images), atol=1e-5, rtol=0)


def changed(bank, **changes):
    """A copy of a bank whose weights and statistics can be changed."""
    return dataclasses.replace(
        bank,
        weights=dict(bank.weights),
        statistics=copy.deepcopy(bank.statistics),
        **changes)


def test_networks_that_do_not_fit():
    """Oracle: one line that says what does not fit."""
    _, bank = random_bank(0)
    largest = bank.kept[-1].subnet
    without = changed(bank)
    without.statistics[largest].popitem()
    others = changed(bank)
    others.weights.popitem()
    vast = copy.deepcopy(bank.model)
    vast['backbone']['base_channels'] = 16384
    for found, kind, words in ((without, SupernetClassifier,
                                'the statistics of largest do not fit'),
                               (others, SupernetClassifier, 'weights fit'),
                               (changed(bank, model=vast), SupernetClassifier,
                                'far larger than'),
                               (bank, SupernetDetector,
                                'not a pss.SupernetDetector'),
                               (changed(bank, kept=bank.kept[:1]),
                                SupernetClassifier, None)):
        if words is None:
            build_supernet(found, kind)
            continue
        with pytest.raises(InputError, match=words) as error:
            build_supernet(found, kind)
        assert '\n' not in str(error.value)
