"""Bad arguments of the server, which then does not start."""

import socket

import pytest

SERVE = 'deployment/serve.py'


@pytest.mark.parametrize('words, message', [
    (['--slo-ms', '0'], '--slo-ms=0.0: expected a finite number above 0'),
    (['--slo-ms', 'nan'], '--slo-ms=nan'),
    (['--port', '80'], '--port=80: expected an integer of at least 1024'),
    (['--host', 'example.com'], "--host='example.com': expected one of "
     "'127.0.0.1', '0.0.0.0', '::'"),
    (['--max-batch', '0'], '--max-batch=0'),
    (['--max-body-mb', '-1'], '--max-body-mb=-1.0'),
    (['--max-images', '0'], '--max-images=0'),
    (['--max-megapixels', '1e9'], '--max-megapixels=1000000000.0'),
    (['--max-requests', '0'], '--max-requests=0'),
    (['--body-timeout', '0'], '--body-timeout=0.0'),
    (['--threads', '0'], '--threads=0'),
    (['--drain', '-1'], '--drain=-1'),
    (['--log-level', 'loud'], "--log-level='loud'"),
    ([], 'nowhere'),
])
def test_bad_options(refuse, words, message):
    """Oracle: status 2, and one line that names the option and its value."""
    pytest.importorskip('litserve', reason='needs requirements/serve.txt')
    assert message in refuse(SERVE, 'nowhere', *words)


def test_a_port_in_use(refuse, bank):
    """Oracle: another socket listens on it."""
    pytest.importorskip('litserve', reason='needs requirements/serve.txt')
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        assert f'--port={port}: cannot listen' in refuse(
            SERVE, bank, '--port', port)


def test_subnets_that_are_not_there(refuse, bank):
    """Oracle: status 2, and one line that names the option and the bank's."""
    pytest.importorskip('litserve', reason='needs requirements/serve.txt')
    message = refuse(SERVE, bank, '--port', 20917, '--only', 'largest', 'x')
    assert "--only='x': not in the bank" in message and 'smallest' in message


def test_options_that_a_device_bank_has_not(refuse, tmp_path):
    """Oracle: status 2, and one line that names the option."""
    pytest.importorskip('litserve', reason='needs requirements/serve.txt')
    (tmp_path / 'bank.json').write_text('{"format": "pss-device-bank"}')
    for words in (('--device', 'cuda'), ('--trust', 'x')):
        assert f'{words[0]}=' in refuse(SERVE, tmp_path, *words)
    assert 'version=None' in refuse(SERVE, tmp_path)
