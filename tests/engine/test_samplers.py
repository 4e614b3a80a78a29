import pytest

from pss.engine.samplers import build_sampler, check_sampler
from pss.errors import InputError
from pss.registry import SAMPLERS
from pss.sampling import PrioritizedSampler, UniformSampler
from pss.structures import budgets_of


@pytest.mark.parametrize('cfg, kind', [
    ({}, PrioritizedSampler),
    (dict(pool_size=3), PrioritizedSampler),
    (dict(type='pss.UniformSampler', mutual=True), UniformSampler),
    (dict(type='UniformSampler', mutual=True), UniformSampler),
])
def test_building(imagenet_flops, cfg, kind):
    """Oracle: the class, and the budgets passed to it; the paper's sampler
    where the config names none."""
    budgets = budgets_of('flops', 100, 200, 50)
    sampler = build_sampler(
        check_sampler(cfg), imagenet_flops.space, {'flops': imagenet_flops},
        budgets)
    assert type(sampler) is kind and sampler.budgets == budgets


@pytest.mark.parametrize('cfg, words', [
    (dict(type='pss.Prioritised'),
     "sampler: type 'pss.Prioritised' does not.*'pss.PrioritizedSampler'"),
    (dict(pool_sise=10), "sampler .*'pool_sise'.*'pool_size'"),
    (dict(space=None), "'space'"),
    (dict(type='pss.UniformSampler', pool_size=10), "'pool_size'.*mutual"),
    ('pss.UniformSampler', 'sampler='),
    ([], r'sampler=\[\]'),
    (dict(type='os.system'), "'os.system' does not exist"),
])
def test_bad_configs(cfg, words):
    """Oracle: field and value in the message."""
    with pytest.raises(InputError, match=words):
        check_sampler(cfg)


def test_a_class_that_is_no_sampler(imagenet_flops, monkeypatch):
    """Oracle: the type and the members that it lacks, before training."""

    class Half:

        def __init__(self, space, costs, budgets):
            self.budgets, self.pools = budgets, ()

        def plan(self, seed, iteration, progress):
            return (), None

    monkeypatch.setitem(SAMPLERS.module_dict, 'Half', Half)
    budgets = budgets_of('flops', 100, 200, 50)
    with pytest.raises(
            InputError,
            match='pss.Half has no candidates, scalars, state_dict, '
            'load_state_dict; expected'):
        build_sampler(
            check_sampler(dict(type='pss.Half')), imagenet_flops.space,
            {'flops': imagenet_flops}, budgets)
