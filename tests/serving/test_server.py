"""LitServe's server as the bank's."""

import asyncio

import pytest

pytest.importorskip('litserve', reason='needs requirements/serve.txt')


@pytest.mark.parametrize('key,given,status', [('', '', 200), ('', 'abc', 200),
                                              ('abc', 'abc', 200),
                                              ('abc', '', 401),
                                              ('abc', 'ab', 401),
                                              ('abc', '\u00e9', 401)])
def test_keys(monkeypatch, key, given, status):
    """Oracle: by hand: without a key everyone is answered."""
    from starlette.requests import Request
    from starlette.responses import Response

    from pss.serving.server import with_key

    async def answer(request):
        return Response('yes')

    monkeypatch.setenv('LIT_SERVER_API_KEY', key)
    request = Request(
        dict(type='http', headers=[(b'x-api-key', given.encode('latin-1'))]))
    found = asyncio.run(with_key(answer)(request))
    assert found.status_code == status
    assert (found.body == b'yes') == (status == 200)
