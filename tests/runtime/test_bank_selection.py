import pytest

from pss.deploy import read_bank
from pss.errors import InputError
from pss.runtime import BankSelection


class Selection(BankSelection):
    """A selection without networks."""

    def __init__(self, bank):
        super().__init__(bank)
        self.switch()

    @property
    def active(self):
        return self._active

    def _activate(self, kept):
        self._active = kept


def test_switching(bank):
    """Oracle: brute force over the bank's subnets; an error changes nothing."""
    contents = read_bank(bank)
    net = Selection(contents)
    assert net.active == max(contents.kept, key=lambda k: k.held_out_accuracy)
    assert (net.resources, net.classes) == (contents.resources,
                                            contents.classes)
    for kept in contents.kept:
        for given in (kept, kept.name, kept.subnet):
            assert net.switch(given).subnet == net.active.subnet == kept.subnet
        limits = dict(flops=kept.costs['flops'])
        wanted = max(
            (k for k in contents.kept if k.costs['flops'] <= limits['flops']),
            key=lambda k: k.held_out_accuracy)
        assert net.select(**limits) == net.switch(**limits) == wanted
    before = net.active
    for given, limits, words in (('x', {}, 'not in the bank; expected one of'),
                                 ('largest', dict(flops=1e-3), 'contradicts'),
                                 (None, dict(flops=1e-3), 'the nearest is'),
                                 (None, dict(flop=1), 'unknown resource')):
        with pytest.raises(InputError, match=words):
            net.switch(given, **limits)
        assert net.active == before


def test_the_table(bank):
    """Oracle: one line per subnet, with its name, costs and accuracies."""
    net = Selection(read_bank(bank))
    lines = repr(net.subnets).splitlines()
    assert len(lines) == 2 + len(net.subnets)
    assert 'latency_cpu (us)' in lines[0] and 'flops (MFLOPs)' in lines[0]
    for line, kept in zip(lines[2:], net.subnets):
        for part in (kept.name, str(kept.subnet.resolution),
                     f'{kept.costs["latency_cpu"]:.6g}',
                     f'{kept.held_out_accuracy:.2f}'):
            assert part in line
