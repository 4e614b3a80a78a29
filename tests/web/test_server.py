"""What the page's server sends, and to whom."""

import http.client
import json
import shutil

import numpy as np
import pytest

from pss.errors import InputError
from pss.runtime import read_device_bank


@pytest.fixture
def ask(web_demo, serve, own_bank, tmp_path, monkeypatch):
    """Asks a server that does not need onnxruntime-web."""
    monkeypatch.setattr(web_demo, 'RUNTIME', tmp_path)
    for name in web_demo.RUNTIME_FILES:
        (tmp_path / name).write_text(name)
    with serve(own_bank) as address:
        host = address.split('/')[2]

        def asking(path, method='GET', **headers):
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            return answer, content

        asking.port = host.partition(':')[2]
        yield asking


def test_files_and_their_types(ask, own_bank, images):
    """Oracle: the files themselves, and the types that browsers expect."""
    for path, kind in (('/', 'text/html'), ('/style.css', 'text/css'),
                       ('/src/app.js', 'text/javascript'),
                       ('/ort/ort.wasm.min.mjs', 'text/javascript'),
                       ('/ort/ort-wasm-simd-threaded.wasm', 'application/wasm'),
                       ('/device_bank/bank.json?x=1',
                        'application/json'), ('/device_bank/weights.bin',
                                              'application/octet-stream')):
        answer, content = ask(path)
        assert answer.status == 200 and len(content) > 0, path
        assert answer.headers['Content-Type'].partition(';')[0] == kind
    assert content == (own_bank / 'weights.bin').read_bytes()
    assert ask('/test_images.bin')[1] == images.pixels
    index = json.loads(ask('/test_images.json')[1])
    assert index['labels'] == images.labels and index['batch_size'] == 8
    answer, content = ask('/style.css', 'HEAD')
    assert content == b'' and int(answer.headers['Content-Length']) > 1000


def test_nothing_else_is_sent(ask, own_bank):
    """Oracle: status 404 for everything that is not listed, also beside what
    is; 403 for a page of another site under a name for this address; 404 for
    what was deleted meanwhile."""
    (own_bank / 'secret.txt').write_text('secret')
    for path in ('/device_bank/secret.txt', '/device_bank/../secret.txt',
                 '/../web_demo.py', '/src/../package.json', '/package.json',
                 '//etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/device_bank/',
                 '/src/', '/test/vectors.mjs', '*'):
        answer, content = ask(path)
        assert answer.status == 404 and b'secret' not in content, path
    assert ask('/', Host='localhost:' + ask.port)[0].status == 200
    assert ask('/', Host='example.com')[0].status == 403
    assert ask('/', Host='example.com:' + ask.port)[0].status == 403
    assert ask('/', 'POST')[0].status == 501
    (own_bank / 'weights.bin').unlink()
    assert ask('/device_bank/weights.bin')[0].status == 404


def test_drawing_images(web_demo):
    """Oracle: each drawn image is the one of its label; always the same; no
    more than asked for, and than fits."""
    arrays = [np.full((2, 3), i, np.uint8) for i in range(100)]
    found = web_demo.drawn(arrays, np.arange(100), 40)
    assert found == web_demo.drawn(arrays, np.arange(100), 40)
    assert found.shapes == 40 * [[2, 3, 1]]
    assert found.pixels == bytes(
        label for label in found.labels for _ in range(6))
    assert len(set(found.labels)) == 40
    assert len(web_demo.drawn(arrays, np.arange(100), 1000).labels) == 100


def test_what_cannot_be_served(web_demo, device_bank, images, tmp_path,
                               monkeypatch):
    """Oracle: one error each."""
    bank = read_device_bank(device_bank)
    monkeypatch.setattr(web_demo, 'RUNTIME', tmp_path)
    with pytest.raises(InputError, match='`npm ci --prefix web` installs'):
        web_demo.Server(bank, images)
    for name in web_demo.RUNTIME_FILES:
        shutil.copy(__file__, tmp_path / name)
    with pytest.raises(InputError, match='class 11; .* has 10 classes'):
        web_demo.Server(bank, images._replace(labels=[3, 11]))
    with web_demo.Server(bank, images) as server, \
            pytest.raises(InputError, match='--port .*in use; 0 takes any'):
        web_demo.Server(bank, images, port=server.server_port)
