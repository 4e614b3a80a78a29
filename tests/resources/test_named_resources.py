import pytest

from pss.errors import InputError
from pss.resources import Flops, Parameters, build_resources, cost_field


def test_flops_are_always_there():
    """Oracle: the classes that the config names."""
    built = build_resources(dict(size=dict(type='pss.Parameters')))
    assert {
        name: type(r)
        for name, r in built.items()
    } == dict(
        flops=Flops, size=Parameters)
    assert list(build_resources(None)) == ['flops']


@pytest.mark.parametrize('cfg, words', [
    ([1], r'resources=\[1\]: expected'),
    (dict(score=dict(type='pss.Flops')), "'score' is taken"),
    (dict(size='pss.Parameters'), "size='pss.Parameters': expected"),
    (dict(size=dict(type='Size')),
     "size: type 'Size'.*expected one of .*Flops"),
])
def test_bad_configs(cfg, words):
    """Oracle: name, value and what is expected, in one line."""
    with pytest.raises(InputError, match=words) as error:
        build_resources(cfg)
    assert '\n' not in str(error.value)


def test_fields_of_costs():
    """Oracle: the column names of results and subnet files."""
    assert cost_field('flops') == 'mflops'
    assert cost_field('latency_phone') == 'latency_phone'
