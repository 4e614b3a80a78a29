import pytest


@pytest.mark.parametrize('lines', [
    '{"pool_fill/flops_80": 1, "step": ' + '9' * 400 + '}',
    '{"pool_fill/flops_80": NaN, "step": 1}', '{"pool_fill/x": 1, "step": 1}'
])
def test_logs_of_pools(refuse, tmp_path, lines):
    """Oracle: exit status and form of the message."""
    (tmp_path / 'a.json').write_text(f'{lines}\n{lines}\n')
    refuse('analysis_tools/plot_pools.py', 'a.json')
