"""A bank behind Ray Serve: replicas on this machine, over a real socket."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pss.apis import AdaptiveClassifier

from ..paths import ROOT
from .conftest import Running

pytest.importorskip('ray', reason='needs requirements/ray.txt')
CONFIG = """
http_options:
  host: 127.0.0.1
  port: {port}
applications:
- name: pss
  import_path: pss.serving.ray:app
  args: {args}
"""


@pytest.fixture(scope='module')
def server(bank, tmp_path_factory):
    """Two replicas of a bank."""
    folder = tmp_path_factory.mktemp('ray')
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        port = found.getsockname()[1]
    # accuracies, and so the choice of the subnet, are no matter of this test
    args = dict(
        bank=str(bank), slo_ms=30000, replicas=2, max_batch=2, max_images=4)
    (folder / 'app.yaml').write_text(
        CONFIG.format(port=port, args=json.dumps(args)))
    with open(folder / 'log.txt', 'w') as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name('serve'), 'run', 'app.yaml'],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=dict(
                os.environ,
                PYTHONPATH=str(ROOT),
                OMP_NUM_THREADS='1',
                RAY_USAGE_STATS_ENABLED='0'))
        running = Running(process, port, log)
        try:
            _wait(lambda: running.ask('GET', '/subnets')[0] == 200, running)
            yield running
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _wait(is_done, running):
    end = time.monotonic() + 180
    while time.monotonic() < end and running.process.poll() is None:
        try:
            if is_done():
                return
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError(running.text())


def replicas():
    """Process ids of the replicas that run networks."""
    found = []
    for name in os.listdir('/proc'):
        try:
            words = Path('/proc', name, 'cmdline').read_bytes()
        except OSError:
            continue
        if words.startswith(b'ray::ServeReplica:pss:BankReplica'):
            found.append(int(name))
    return found


@pytest.fixture(scope='module')
def files(bank):
    """Contents of four image files."""
    import io

    import numpy as np
    from PIL import Image
    rng = np.random.default_rng(0)
    found = []
    for _ in range(4):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (30, 40, 3),
                                     np.uint8)).save(buffer, 'PNG')
        found.append(buffer.getvalue())
    return found


def test_predictions_equal_the_classifiers(server, bank, files):
    """Oracle: predict() of the same bank on the same files, with the subnet
    that the answer names; statuses of HTTP for bad requests."""
    net = AdaptiveClassifier(bank)
    for content in files:
        status, _, answer = server.predict(content)
        assert status == 200, answer
        one, = answer['predictions']
        kept = next(k for k in net.subnets if k.name == one['subnet'])
        net.switch(kept)
        expected, = net.predict([content])
        assert one['label'] == expected['pred_label']
        assert one['scores'] == pytest.approx(
            expected['pred_scores'].tolist(), abs=2e-5)
        assert 0 < one['network_ms'] <= answer['total_ms']
    for status, words, body, kind in ((422, 'not an image', b'x', 'image/png'),
                                      (415, 'content-type', files[0],
                                       'text/plain'), (422, 'not JSON', b'{',
                                                       'application/json')):
        found, _, answer = server.predict(body, kind)
        assert found == status and words in answer['error']
    assert server.ask('GET', '/predict')[0] == 405
    assert server.ask('GET', '/nothing')[0] == 404


def test_a_replica_is_killed(server, files):
    """Oracle: every request is answered, also those that the killed replica
    had; Ray starts another one."""
    _wait(lambda: len(replicas()) == 2, server)
    statuses, is_over = [], threading.Event()

    def ask():
        while not is_over.is_set():
            statuses.append(
                server.ask(
                    'POST',
                    '/predict',
                    files[0],
                    timeout=120,
                    Content_Type='image/png')[0])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    killed = replicas()[0]
    os.kill(killed, signal.SIGKILL)
    _wait(lambda: len({*replicas()} - {killed}) == 2, server)
    time.sleep(1)
    is_over.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200} and len(statuses) > 12
