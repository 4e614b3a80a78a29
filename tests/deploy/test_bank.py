import dataclasses

import pytest
import torch

from pss.apis import AdaptiveClassifier
from pss.deploy import write_bank
from pss.deploy.bank import check_classes
from pss.errors import InputError
from pss.structures import level_name

from ..conftest import random_bank


def test_state_dict():
    """Oracle: the supernet's own keys, and its logits after switching to each
    subnet with the statistics of the bank."""
    model, bank = random_bank(1)
    largest = model.search_space.largest
    images = torch.randn(2, *bank.input_shape)
    for kept in bank.kept:
        state = bank.state_dict(kept.subnet)
        assert set(state) == set(model.state_dict())
    model.switch_to(largest, bank.statistics[largest])
    with torch.no_grad():
        wanted = model(images)
    model.load_state_dict(bank.state_dict(largest))
    model.switch_to(largest)
    with torch.no_grad():
        assert torch.equal(model(images), wanted)


@pytest.mark.parametrize('classes, model, words', [
    (None, dict(head=dict(num_classes=3)), None),
    ('abc', dict(head=dict(num_classes=3)), None),
    ('abcd', dict(head=dict(num_classes=3)), None),
    ('ab', dict(), None),
    ('ab', dict(head=dict(num_classes=3)), 'x: classes: 2 names, expected 3'),
])
def test_check_classes(classes, model, words):
    """Oracle: by hand: as many names as outputs, or more."""
    if words is None:
        check_classes(classes, model, 'x')
        return
    with pytest.raises(InputError, match=words):
        check_classes(classes, model, 'x')


def test_levels_that_six_digits_do_not_tell_apart(tmp_path):
    """Oracle: each subnet of the bank by its own name: what `switch` reports
    is what runs."""
    _, contents = random_bank(num=2)
    kept = list(contents.kept)
    for i, level in ((1, 100.00001), (2, 100.00002)):
        kept[i] = dataclasses.replace(
            kept[i], level=level, name=level_name('flops', level))
    write_bank(dataclasses.replace(contents, kept=tuple(kept)), tmp_path / 'b')
    net = AdaptiveClassifier(tmp_path / 'b')
    for entry in kept[1:3]:
        assert net.switch(entry.name).subnet == entry.subnet
        assert net._active.kept.subnet == entry.subnet
    assert len({entry.name for entry in net.subnets}) == 4
