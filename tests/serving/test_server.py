"""LitServe's server as the bank's."""

import asyncio
from types import SimpleNamespace

import pytest

pytest.importorskip('litserve', reason='needs requirements/serve.txt')


def ask(method, path, given=b''):
    """Status and body of the answer to a request, and the paths that were left
    to LitServe."""
    from starlette.responses import Response

    from pss.serving.server import Paths

    async def answer(request):
        return Response('yes')

    async def app(scope, receive, send):
        left.append(scope['path'])

    async def send(message):
        sent.append(message)

    sent, left = [], []
    front = SimpleNamespace(
        predict=answer,
        subnets=answer,
        ready=answer,
        read_metrics=answer,
        reload=answer)
    scope = dict(
        type='http', method=method, path=path, headers=[(b'x-api-key', given)])
    asyncio.run(Paths(app, front)(scope, None, send))
    return sent and (sent[0]['status'], sent[1]['body']), left


@pytest.mark.parametrize('key,given,status', [('', '', 200), ('', 'abc', 200),
                                              ('abc', 'abc', 200),
                                              ('abc', '', 401),
                                              ('abc', 'ab', 401),
                                              ('abc', '\u00e9', 401)])
def test_keys(monkeypatch, key, given, status):
    """Oracle: by hand: without a key everyone is answered."""
    monkeypatch.setenv('LIT_SERVER_API_KEY', key)
    found, left = ask('POST', '/predict', given.encode('latin-1'))
    assert found[0] == status and not left
    assert (found[1] == b'yes') == (status == 200)


@pytest.mark.parametrize('method,path,status', [('GET', '/subnets', 200),
                                                ('HEAD', '/ready', 200),
                                                ('POST', '/reload', 200),
                                                ('GET', '/predict', 405),
                                                ('HEAD', '/predict', 405),
                                                ('POST', '/metrics', 405),
                                                ('GET', '/health', None),
                                                ('GET', '/predict/', None)])
def test_paths(method, path, status):
    """Oracle: by hand: the paths of the bank with their methods, and others,
    which are left to LitServe."""
    found, left = ask(method, path)
    assert left == ([] if status else [path])
    assert not status or found[0] == status
