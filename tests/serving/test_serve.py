"""The server, over a real socket."""

import base64
import hashlib
import io
import json
import os
import re
import resource
import shutil
import signal
import socket
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from pss.apis import AdaptiveClassifier
from pss.runtime import AdaptiveSession

SLO = 20000  # other tests run at the same time


@pytest.fixture(scope='module')
def both(start_server, bank, tmp_path_factory):
    """Servers of a bank and of its device bank, and what they serve; that of
    the latter has two processes that speak HTTP."""
    from pss.apis import DeviceExporter, read_bank
    folder = tmp_path_factory.mktemp('served') / 'bank'
    DeviceExporter(read_bank(bank)).export(folder)
    options = ('--slo-ms', SLO, '--max-batch', 4, '--max-body-mb', 1,
               '--max-images', 4, '--max-megapixels', 1, '--body-timeout', 1.5)
    with ThreadPoolExecutor(2) as pool:
        servers = pool.map(
            lambda path, number: start_server(
                path, *options, '--http-processes', number), (bank, folder),
            (1, 2))
        return list(
            zip(servers,
                (AdaptiveClassifier(bank), AdaptiveSession(folder, threads=1))))


@pytest.fixture(scope='module')
def server(both):
    """The server of the device bank, which starts sooner."""
    return both[1][0]


@pytest.fixture(scope='module')
def files():
    """Contents of image files of several kinds and sizes."""
    rng = np.random.default_rng(0)
    found = []
    for kind, size in (('PNG', (30, 40)), ('JPEG', (64, 48)),
                       ('WEBP', (33, 33)), ('BMP', (50, 28))):
        image = Image.fromarray(rng.integers(0, 256, (5, 6, 3),
                                             np.uint8)).resize(size)
        buffer = io.BytesIO()
        image.save(buffer, kind)
        found.append(buffer.getvalue())
    return found


def form(contents):
    """A multipart body, and its type."""
    parts = b''.join(b'--xyz\r\nContent-Disposition: form-data; name="image"; '
                     b'filename="a"\r\n\r\n' + content + b'\r\n'
                     for content in contents)
    return parts + b'--xyz--\r\n', 'multipart/form-data; boundary=xyz'


def as_json(contents):
    """A JSON body, and its type."""
    return json.dumps(
        dict(
            images=[base64.b64encode(content).decode()
                    for content in contents])), 'application/json'


def test_predictions_equal_the_classifiers(both, files):
    """Oracle: predict() of the same bank on the same files, with the subnet
    that the answer names; without other requests that is the most accurate."""
    for running, net in both:
        best = max(net.subnets, key=lambda kept: kept.held_out_accuracy)
        for body, kind in (form(files), as_json(files), form(files[:1]),
                           (files[1], 'image/jpeg')):
            status, headers, answer = running.predict(body, kind)
            assert status == 200, answer
            sent = files if len(answer['predictions']) == 4 else \
                files[:1] if kind.startswith('multi') else files[1:2]
            assert len(answer['predictions']) == len(sent)
            wanted = {
                kept.name: (net.switch(kept), net.predict(sent))[1]
                for kept in net.subnets
            }
            for i, one in enumerate(answer['predictions']):
                assert one['subnet'] == best.name
                expected = wanted[one['subnet']][i]
                assert one['label'] == expected['pred_label']
                assert one['class'] == expected['pred_class']
                np.testing.assert_allclose(
                    one['scores'], expected['pred_scores'], atol=2e-5)
                assert one['score'] == max(one['scores'])
                assert 0 <= one['queue_ms'] <= answer['total_ms']
                assert 0 < one['network_ms'] <= answer['total_ms'] < SLO


def test_the_best_classes(both, files):
    """Oracle: the same answer's scores, sorted."""
    for running, net in both:
        scores = running.predict(files[0])[2]['predictions'][0]['scores']
        status, _, answer = running.ask(
            'POST', '/predict?top=3', files[0], Content_Type='image/png')
        one = answer['predictions'][0]
        assert status == 200 and 'scores' not in one
        assert [found['label'] for found in one['top']
                ] == np.argsort(scores)[::-1][:3].tolist()
        assert [found['class'] for found in one['top']
                ] == [net.classes[found['label']] for found in one['top']]
        assert one['label'] == one['top'][0]['label']
        for wrong in ('0', '-1', 'x', '3.5', '1' * 5000, '%C2%B2'):
            found = running.ask('POST', f'/predict?top={wrong}', files[0])
            assert found[0] == 422 and 'top=' in found[2]['error']


def test_what_is_served(both):
    """Oracle: the banks' own tables."""
    for running, net in both:
        status, _, answer = running.ask('GET', '/subnets')
        assert status == 200 and answer['slo_ms'] == SLO
        kept = {k.subnet: k for k in net.subnets}.values()
        assert len(answer['subnets']) == len(kept)
        for row in answer['subnets']:
            found = next(k for k in net.subnets if k.name == row['name'])
            assert row['costs'] == dict(found.costs)
            assert row['held_out_accuracy'] == found.held_out_accuracy
            assert list(row['latency_ms']) == ['1', '2', '4']
        assert answer['classes'] == list('abcdefghij')
        assert running.ask('GET', '/health')[0] == 200
        assert running.ask('GET', '/ready')[2] == dict(ready=True)


def test_metrics(server, files):
    """Oracle: counting what was sent to each of two processes that speak HTTP;
    either says it for both."""

    def read():
        rows = server.ask('GET', '/metrics')[2].splitlines()
        return {
            name: float(value)
            for name, _, value in (row.rpartition(' ') for row in rows
                                   if not row.startswith('#'))
        }

    first, second = fronts_of(server)
    before = read()
    with stopped(first):
        for _ in range(2):
            assert server.predict(*form(files[:2]))[0] == 200
    with stopped(second):
        assert server.predict(*form(files[:2]))[0] == 200
        assert server.predict('x', 'text/plain')[0] == 415
        after = read()
    with stopped(first):
        again = read()

    def more(*names):
        return sum(value - before.get(name, 0) for name, value in after.items()
                   if name.startswith(names))

    assert more('pss_requests_total{status="200"}') == 3
    assert more('pss_requests_total{status="415"}') == 1
    assert more('pss_images_total') == 6
    assert more('pss_batch_size_sum') == 6
    assert 3 <= more('pss_batch_size_count') <= 6
    assert more('pss_misses_total') == 0
    assert more('pss_queue_ms_count') == 6
    assert {
        name
        for name, value in again.items() if value != after.get(name, 0)
    } <= {'pss_waiting', 'pss_slowness'}


def fronts_of(running):
    """Process ids of those that speak HTTP: all forked ones but the oldest,
    which is the manager of LitServe."""
    return _children(running, b'serve.py')[1:]


def worker_of(running):
    """Process id of the one that runs the networks."""
    worker, = _children(running, b'spawn_main')
    return worker


def _children(running, word):
    """Process ids of a server's children with that in their command."""
    return sorted(
        int(name) for name in os.listdir('/proc')
        if name.isdecimal() and _is_child(name, running.process.pid, word))


@contextmanager
def stopped(process):
    """Holds a process, so that others do the work, or none."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def bomb():
    """A small PNG file whose header announces 10 gigapixels."""

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack(
            '>I', zlib.crc32(kind + data))

    return b'\x89PNG\r\n\x1a\n' + chunk(
        b'IHDR', struct.pack(
            '>IIBBBBB', 100_000, 100_000, 8, 2, 0, 0, 0)) + chunk(
                b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b'')


def bad_requests(files):
    """Status, words of the message, and the body and its type."""
    large = bytes(1_100_000)
    yield 413, 'at most 1000000 bytes', (large, 'image/png')
    yield 413, 'at most 1000000 bytes', form([large])
    yield 422, 'expected at most 1000000', (bomb(), 'image/png')
    buffer = io.BytesIO()
    Image.new('1', (2000, 2000)).save(buffer, 'PNG')
    yield 422, '2000 x 2000 pixels', form([buffer.getvalue()])
    yield 422, 'not an image', (b'', 'image/png')
    yield 422, 'not an image', (b'%!PS-Adobe-3.0 EPSF-3.0', 'image/png')
    yield 422, 'not an image', form([files[0], b'GIF89a'])
    yield 422, 'images[0]', (files[1][:-200], 'image/jpeg')
    yield 422, 'multipart', (b'nothing', 'multipart/form-data; boundary=a')
    yield 422, 'multipart', (b'nothing', 'multipart/form-data')
    yield 422, 'multipart', (form(5 * files[:1]))
    yield 422, 'multipart', (
        b'--a\r\nContent-Disposition: form-data; name="x"\r\n\r\nhello\r\n'
        b'--a--\r\n', 'multipart/form-data; boundary=a')
    yield 422, 'expected 1 to 4', (form([]))
    for text in ('', '[]', '3', '{}', '{"images": []}', '{"images": "x"}',
                 '{"images": [3]}', '{"image": null}', '[' * 100_000,
                 '{"image": "é"}', '{"image": "abc"}', '{"a": 1, "image": ""}',
                 '{"images": ["", "", "", "", ""]}'):
        yield 422, '', (text.encode(), 'application/json')
    yield 415, 'content-type', (files[0], 'text/html')
    yield 415, 'content-type', (files[0], '')


def test_bad_requests(server, files):
    """Oracle: the statuses of HTTP, and a message that says what was expected;
    afterwards it answers as before."""
    for status, words, (body, kind) in bad_requests(files):
        found, _, answer = server.predict(body, kind)
        assert found == status, (words, kind, body[:50], answer)
        assert words in answer['error'] and len(answer) == 1, answer
    assert server.ask('GET', '/predict')[0] == 405
    assert server.ask('GET', '/nothing')[0] == 404
    assert server.predict(files[0])[0] == 200


def test_bad_connections(server, files):
    """Oracle: it answers others meanwhile and afterwards; a head or a body that
    does not arrive is given up after the time limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    head = (b'POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n'
            b'Content-Length: %d\r\n\r\n' % len(files[0]))
    slow = server.connect()
    slow.sendall(head + files[0][:10])
    idle = [server.connect() for _ in range(1000)]
    slow_head = server.connect()
    slow_head.sendall(head[:-10])
    gone = server.connect()
    gone.sendall(head + files[0][:10])
    gone.close()
    half = server.connect()
    half.sendall(head + files[0])
    half.shutdown(socket.SHUT_WR)
    reset = server.connect()
    reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                     struct.pack('ii', 1, 0))
    reset.sendall(head + files[0])
    reset.close()
    chunks = (b'POST /predict HTTP/1.1\r\nHost: a\r\n'
              b'Transfer-Encoding: chunked\r\n\r\n')
    for text in (b'\x16\x03\x01' + bytes(50), b'GET\r\n\r\n',
                 b'GET / HTTP/1.1\r\nA: ' + 10**6 * b'a',
                 b'GET / HTTP/1.1\r\n' + 10**5 * b'A: aaaaa\r\n',
                 b'GET /' + 10**6 * b'a', chunks + b'1;' + 10**6 * b'a',
                 b'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n',
                 chunks + b'0\r\nA: ' + 10**6 * b'a',
                 chunks + b'0\r\n' + 10**5 * b'A: aaaaa\r\n'):
        start = time.monotonic()
        with server.connect() as wrong:
            try:
                wrong.sendall(text)
                answer = wrong.recv(1000)
            except ConnectionError:
                answer = b''
            assert answer[:12] in (b'', b'HTTP/1.1 400'), answer
        # it is not a limit of time, of 1.5 s, that cuts it off
        assert time.monotonic() - start < 1.4, text[:100]
    assert server.predict(files[0])[0] == 200
    # several requests at once are answered in order, also to a closed side
    with server.connect() as many:
        many.sendall(head + files[0] + b'GET /ready HTTP/1.1\r\nHost: a\r\n\r\n'
                     b'GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n')
        many.shutdown(socket.SHUT_WR)
        answer = b''.join(iter(lambda: many.recv(1000), b''))
        assert re.findall(rb'HTTP/1.1 (\d+)',
                          answer) == [b'200', b'200', b'404']
    # chunks of a byte each are a body like any other
    with server.connect() as tiny:
        tiny.sendall(
            chunks.replace(b'Host', b'Content-Type: image/png\r\nHost') +
            b''.join(b'1\r\n' + files[0][i:i + 1] + b'\r\n'
                     for i in range(len(files[0]))) + b'0\r\n\r\n')
        assert tiny.recv(1000).startswith(b'HTTP/1.1 200')
    answer = b''.join(iter(lambda: slow.recv(1000), b''))
    assert answer.startswith(b'HTTP/1.1 408') and b'1.5 s' in answer
    # a client that closes its side after its request is answered
    answer = b''.join(iter(lambda: half.recv(1000), b''))
    assert answer.startswith(b'HTTP/1.1 200') and b'predictions' in answer
    for connection in (slow_head, idle[0], idle[-1]):
        assert connection.recv(1000) == b''
    for connection in (*idle, slow, slow_head, half):
        connection.close()
    assert server.predict(files[0])[0] == 200


@pytest.mark.parametrize('offer', [
    b'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n'
    b'HTTP2-Settings: AAMAAABkAAQAAP__\r\n',
    b'Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n'
])
def test_offers_of_another_protocol(server, files, offer):
    """Oracle: the answers without the offer, to one request after the other,
    whose bodies come at once or later, and to two at once."""
    head = (b'POST /predict?top=1 HTTP/1.1\r\nHost: a\r\n%b'
            b'Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n' %
            (offer, len(files[1])))
    wanted = server.predict(files[1])[2]['predictions'][0]
    both = head + files[1]
    with server.connect() as connection:
        answers = connection.makefile('rb')
        for parts in ((both, ), (both[:30], both[30:]), (head, files[1]),
                      (both + b'GET /ready HTTP/1.1\r\nHost: a\r\n' + offer +
                       b'\r\n', )):
            for part in parts:
                connection.sendall(part)
                time.sleep(0.05)
            status, body = read_answer(answers)
            assert status == 200
            assert body['predictions'][0]['label'] == wanted['label']
        assert read_answer(answers) == (200, dict(ready=True))


def read_answer(lines):
    """Status and JSON of the next answer."""
    status = int(lines.readline().split()[1])
    for line in iter(lines.readline, b'\r\n'):
        if line.lower().startswith(b'content-length'):
            size = int(line.split(b':')[1])
    return status, json.loads(lines.read(size))


def memory_of(running):
    """Resident megabytes of the server's processes."""
    total = 0
    for name in filter(str.isdecimal, os.listdir('/proc')):
        try:
            with open(f'/proc/{name}/stat', 'rb') as file:
                session = int(file.read().rpartition(b')')[2].split()[3])
            if session == running.process.pid:
                with open(f'/proc/{name}/statm') as file:
                    total += int(file.read().split()[1])
        except OSError:
            continue
    return total * os.sysconf('SC_PAGE_SIZE') / 1e6


def test_memory_does_not_grow(server, files):
    """Oracle: the kernel's count of resident pages, after 6 times 150 good and
    bad requests and broken connections as against twice. Files that were kept,
    or their pixels, would be 90 MB; each of the four threads that decode takes
    a few more MB once, such as 3 MB of stack for nested JSON."""
    wrong = [(body, kind) for _, _, (body, kind) in bad_requests(files)]
    buffer = io.BytesIO()
    Image.new('RGB', (300, 300)).save(buffer, 'BMP')
    seen = []
    for _ in range(6):
        for i in range(150):
            if i % 5 == 0:
                server.predict(*wrong[i // 5 % len(wrong)])
            elif i % 5 == 1:
                with server.connect() as connection:
                    connection.sendall(b'POST /predict HTTP/1.1\r\nHost: a\r\n'
                                       b'Content-Length: 9000\r\n\r\nabc')
            else:
                contents = [buffer.getvalue(), *files[:i % 4]]
                assert server.predict(*form(contents))[0] == 200
        seen.append(memory_of(server))
    assert seen[-1] - seen[1] < 20, seen


@pytest.fixture
def replaced(start_server, both, tmp_path):
    """A server of a copy of the device bank, with two processes that speak
    HTTP, and a function that replaces the bank by one without the subnet that
    it has last."""
    folder = tmp_path / 'bank'
    shutil.copytree(both[1][1].bank.folder, folder)

    def replace():
        index = json.loads((folder / 'bank.json').read_text())
        last = index['subnets'][-1]['file']
        index['subnets'] = [
            row for row in index['subnets'] if row['file'] != last
        ]
        index['sha256'] = 64 * '0'  # the last thing in it
        text = json.dumps(index)
        digest = hashlib.sha256(text.encode()).hexdigest()
        (folder / 'new.json').write_text(digest.join(text.rsplit(64 * '0', 1)))
        (folder / 'new.json').replace(folder / 'bank.json')

    running = start_server(
        folder,
        '--slo-ms',
        SLO,
        '--max-batch',
        2,
        '--http-processes',
        2,
        PSS_RELOAD_TOKEN='abc')
    return running, replace, folder


def names_of(running):
    """The subnets that are served, by each process that speaks HTTP."""
    found = []
    for process in fronts_of(running):
        with stopped(process):
            found.append([
                row['name']
                for row in running.ask('GET', '/subnets')[2]['subnets']
            ])
    assert len(found) == 2 and found[0] == found[1]
    return found[0]


def test_a_bank_is_replaced(replaced, files):
    """Oracle: the subnets that the folder's index names, after a signal or a
    request with the token; every request meanwhile is answered; a bank that
    cannot be read leaves the former one."""
    running, replace, folder = replaced
    before = names_of(running)
    assert len(before) > 2
    statuses, is_over = [], threading.Event()

    def ask():
        while not is_over.is_set():
            statuses.append(running.predict(*form(files[:2]))[0])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    replace()
    for headers in ({}, dict(Authorization='Bearer abd'),
                    dict(Authorization='abc')):
        assert running.ask('POST', '/reload', **headers)[0] == 401
    assert names_of(running) == before
    token = dict(Authorization='Bearer abc')
    status, _, answer = running.ask('POST', '/reload', timeout=120, **token)
    assert status == 200, answer
    once = [row['name'] for row in answer['subnets']]
    assert names_of(running) == once == [n for n in before if n != 'largest']

    replace()
    running.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 120
    while 'reloaded' not in running.text() and time.monotonic() < end:
        time.sleep(0.1)
    assert names_of(running) == once[:-1]
    (folder / 'bank.json').write_text('{}')
    status, _, answer = running.ask('POST', '/reload', timeout=120, **token)
    assert status == 422 and 'bank' in answer['error']
    assert names_of(running) == once[:-1]
    is_over.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200} and len(statuses) > 10
    assert running.stop() == 0, running.text()


def test_reloading_needs_a_token(server):
    """Oracle: the status of what is not allowed, and what to do instead."""
    status, _, answer = server.ask('POST', '/reload', Authorization='Bearer ')
    assert status == 403 and 'PSS_RELOAD_TOKEN' in answer['error']
    assert 'SIGHUP' in answer['error']


@pytest.fixture(scope='module')
def tight(start_server, both):
    """A server with an objective that few requests can meet at once."""
    return start_server(both[1][1].bank.folder, '--slo-ms', 60, '--max-batch',
                        4)


def test_more_than_can_be_answered(tight, files):
    """Oracle: with an objective that few requests can meet at once, every one
    is answered, or refused with a time to come again. The first wait longer
    than the objective for the networks' process, which is held, so that some
    are refused on a fast machine, too."""
    running = tight
    body, kind = form(files)

    def ask():
        answers = [running.predict(body, kind) for _ in range(12)]
        for status, headers, answer in answers:
            assert status in (200, 413, 503), answer
            if status == 503:
                assert int(headers['Retry-After']) >= 1
                assert answer['retry_after_ms'] > 0
        return [status for status, _, _ in answers]

    with ThreadPoolExecutor(24) as pool:
        with stopped(worker_of(running)):
            futures = [pool.submit(ask) for _ in range(24)]
            time.sleep(0.5)
        statuses = sum((future.result() for future in futures), [])
    assert len(statuses) == 24 * 12 and 503 in statuses
    assert running.predict(files[0])[0] in (200, 503)


def test_when_a_process_is_killed(tight, files):
    """Oracle: without the process that runs the networks nothing can be
    answered: requests are refused at once, and the server ends with an error,
    so that what supervises it starts it again."""
    running = tight
    os.kill(worker_of(running), signal.SIGKILL)
    time.sleep(0.2)
    try:
        status, headers, answer = running.predict(files[0])
        assert status == 503 and int(headers['Retry-After']) >= 1
        assert 'the networks' in answer['error']
    except ConnectionError:  # it has ended already
        pass
    assert running.process.wait(timeout=40) == 1
    assert 'the process that runs the networks has ended' in running.text()


def test_when_a_process_that_speaks_http_is_killed(start_server, both, files):
    """Oracle: the server ends with an error, and no process is left."""
    running = start_server(both[1][1].bank.folder, '--slo-ms', SLO,
                           '--http-processes', 2)
    first, second = fronts_of(running)
    with stopped(first):
        assert running.predict(files[0])[0] == 200
    os.kill(second, signal.SIGKILL)
    assert running.process.wait(timeout=40) == 1
    assert 'one that speaks HTTP' in running.text()
    expect_no_process(running)


@pytest.mark.parametrize('which', [0, 1])
def test_it_stops_after_answering(both, files, which):
    """Oracle: requests sent before SIGTERM get answers, with one and with two
    processes that speak HTTP; the status is 0, and no process is left."""
    running = both[which][0]
    body, kind = form(files)
    head = (f'POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n'
            f'Content-Length: {len(body)}\r\n\r\n').encode()
    connections = [running.connect() for _ in range(20)]
    for connection in connections[:19]:
        connection.sendall(head + body)
    # the last byte of this one comes after the signal
    connections[19].sendall(head + body[:-1])
    time.sleep(0.3)
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    connections[19].sendall(body[-1:])
    for connection in connections:
        answer = b''
        while True:
            more = connection.recv(1 << 16)
            if not more:
                break
            answer += more
        assert answer.startswith(b'HTTP/1.1 200'), answer[:300]
        connection.close()
    assert running.process.wait(timeout=40) == 0, running.text()
    assert 'Traceback' not in running.text()
    expect_no_process(running)


def expect_no_process(running):
    """Waits until none of the server's processes is left."""
    for _ in range(100):
        try:
            os.killpg(running.process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError('a process is left')


def _is_child(number, parent, word):
    try:
        with open(f'/proc/{number}/cmdline', 'rb') as file:
            words = file.read()
        with open(f'/proc/{number}/stat', 'rb') as file:
            above = int(file.read().rpartition(b')')[2].split()[1])
    except OSError:
        return False
    return above == parent and word in words
