"""The client that sends traffic to a server."""

import asyncio
import io
import json
import time

import numpy as np
import pytest


@pytest.fixture
def bench(script):
    """The script's module."""
    return script('open_loop')


def test_arrivals(bench):
    """Oracle: the phases' rates, to four standard deviations."""
    times = bench.arrivals(100., 10., 0)
    assert (np.diff(times) >= 0).all() and times[-1] < 40
    for phase, rate in enumerate(bench.RATES):
        number = ((times >= 10 * phase) & (times < 10 * phase + 10)).sum()
        assert abs(number - 1000 * rate) < 4 * np.sqrt(1000 * rate)


def test_slow_answers_do_not_slow_arrivals_down(bench):
    """Oracle: a server that answers each request 0.3 s after it came, or
    refuses it, or closes the connection: the requests come as planned, on as
    many connections as that takes, and latencies count from then."""
    seen = []

    async def answer(reader, writer):
        while True:
            try:
                head = await reader.readuntil(b'\r\n\r\n')
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            size = int(head.partition(b'Content-Length: ')[2].split(b'\r')[0])
            body = await reader.readexactly(size)
            kind = next(
                k for k in ('good', 'bad', 'lost') if k.encode() in body)
            seen.append(time.perf_counter())
            await asyncio.sleep(0.3)
            if kind == 'lost':
                break
            content = json.dumps(
                dict(predictions=[dict(subnet='a', label=3)]) if kind ==
                'good' else dict(error='x')).encode()
            status = b'200 OK' if kind == 'good' else b'503 No'
            writer.write(b'HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b' %
                         (status, len(content), content))
        writer.close()

    async def run():
        server = await asyncio.start_server(answer, '127.0.0.1', 0)
        port = server.sockets[0].getsockname()[1]
        client = bench.Client(port, [b'good', b'bad', b'lost'], 1)
        found = await client.send(0.02 * np.arange(30))
        server.close()
        return found

    found = asyncio.run(run())
    # those that are lost on an idle connection are sent a second time
    assert len(seen) >= 30 and seen[-1] - seen[0] < 2  # not 30 times 0.3
    assert [a.status for a in found] == [200, 503, 0] * 10
    assert {a.problem for a in found[2::3]} == {'IncompleteReadError'}
    assert all(a.ms >= 300 for a in found)


def test_connections_that_the_server_closes(bench):
    """Oracle: a server that closes idle connections, some of them while a
    request is on its way: every request is answered."""
    number = [0]

    async def answer(reader, writer):
        """Closes the connection after an answer, or when another request has
        come."""
        number[0] += 1
        is_late = number[0] % 2
        for has_answer in (True, False):
            try:
                await reader.readuntil(b'Content-Length: 1\r\n\r\na')
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            if has_answer:
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}')
                if not is_late:
                    break
        writer.close()

    async def run():
        server = await asyncio.start_server(answer, '127.0.0.1', 0)
        client = bench.Client(server.sockets[0].getsockname()[1], [b'a'], 1)
        client.requests = [b'Content-Length: 1\r\n\r\na']
        found = await client.send(0.05 * np.arange(9))
        server.close()
        return found

    found = asyncio.run(run())
    assert [a.status for a in found] == [200] * 9
    assert 3 <= sum(a.is_second for a in found) <= 5


def test_forms(bench):
    """Oracle: a parser that is not ours reads the files that were given."""
    multipart = pytest.importorskip('python_multipart')
    client = bench.Client(1, [b'a', b'bc', b'', b'd', b'e'], 2)
    assert len(client.requests) == 2  # whole ones
    found = []
    for request in client.requests:
        head, _, body = request.partition(b'\r\n\r\n')
        assert b'Content-Length: %d' % len(body) in head
        multipart.parse_form(
            {
                'Content-Type':
                head.partition(b'Content-Type: ')[2].split(b'\r')[0]
            }, io.BytesIO(body), None, lambda file: found.append(file.size))
    assert found == [1, 2, 0, 1]


def test_images(bench, tiny_fashion_mnist):
    """Oracle: what the files are: labels of the data, JPEG of a size."""
    bodies, labels = bench.labelled_images(tiny_fashion_mnist, 5)
    assert len(bodies) == len(labels) == 5
    assert all(body.startswith(b'\x89PNG') for body in bodies)
    assert all(
        body.startswith(b'\xff\xd8') for body in bench.drawn_images(3, 40))


def test_images_of_folders(bench, tmp_path):
    """Oracle: the folders' places by name; an empty folder is an error."""
    with pytest.raises(bench.InputError, match='--folder'):
        bench.folder_images(tmp_path, 4)
    for name, count in (('b', 2), ('a', 4)):
        (tmp_path / name).mkdir()
        for i in range(count):
            (tmp_path / name / f'{i}.png').write_text(f'{name}{i}')
    assert bench.folder_images(tmp_path, 3) == ([b'a0', b'a2',
                                                 b'b0'], [0, 0, 1])
    assert len(bench.folder_images(tmp_path, 100)[0]) == 6
