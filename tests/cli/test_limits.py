import pytest

from pss.cli.limits import parse_budget
from pss.errors import InputError


@pytest.mark.parametrize('words, wanted', [
    (['flops=60'], dict(flops=60)),
    (['flops=6.5', 'latency_cpu=20_000'], dict(flops=6.5, latency_cpu=20000)),
    (['flops=60', 'flops=60'], dict(flops=60)),
    (['flops'], 'NAME=NUMBER'),
    (['flops=x'], "--budget 'flops=x'"),
    (['flops=60', 'flops=70'], 'flops=60 and flops=70 contradict'),
    *(([f'flops={value}'], 'expected NAME=NUMBER, the number finite')
      for value in ('nan', 'inf', '-inf', '-1', '0', '1e400', '9' * 9999, '',
                    '1__0')),
    (['=60'], "--budget '=60': expected NAME=NUMBER"),
    ([' =60'], 'expected NAME=NUMBER'),
    (['flops\x1b[2J=60'], r"--budget 'flops\\x1b\[2J=60': expected"),
    (['flops=60\x1b[2J'], r'\\x1b'),
])
def test_parse_budget(words, wanted):
    """Oracle: the limits, or what the message says is wrong."""
    if isinstance(wanted, dict):
        assert parse_budget(words) == wanted
        return
    with pytest.raises(InputError, match=wanted) as error:
        parse_budget(words)
    assert str(error.value).isprintable() and len(str(error.value)) < 200
