"""A real server in processes of its own, on a free port of this machine."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from ..paths import ROOT


class Running:
    """A server that was started.

    Attributes:
        process: its first process.
        port: that it listens on.
    """

    def __init__(self, process, port, log):
        self.process = process
        self.port = port
        self.log = log

    def ask(self, method, path, body=None, timeout=30, **headers):
        """Status, headers and the body's JSON, or the body if it is none."""
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.port, timeout=timeout)
        try:
            connection.request(method, path, body, {
                name.replace('_', '-'): value
                for name, value in headers.items()
            })
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, answer.headers, json.loads(content)
        except ValueError:
            return answer.status, answer.headers, content.decode()

    def predict(self, content, kind='application/octet-stream', **options):
        """What POST /predict answers."""
        return self.ask(
            'POST', '/predict', content, Content_Type=kind, **options)

    def connect(self):
        """A plain connection."""
        return socket.create_connection(('127.0.0.1', self.port), timeout=30)

    def stop(self, number=signal.SIGTERM):
        """Signals the first process, and returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=40)

    def text(self):
        """What it printed."""
        self.log.flush()
        return open(self.log.name).read()


@pytest.fixture(scope='session')
def start_server(tmp_path_factory):
    """Starts a server with arguments; it is ended with the session at last."""
    pytest.importorskip('litserve', reason='needs requirements/serve.txt')
    pytest.importorskip('prometheus_client')
    pytest.importorskip('python_multipart')
    started = []

    def start(*arguments, **environment):
        with socket.socket() as found:
            found.bind(('127.0.0.1', 0))
            port = found.getsockname()[1]
        log = open(  # noqa: SIM115, closed below
            tmp_path_factory.mktemp('server') / 'log.txt', 'w')
        process = subprocess.Popen([
            sys.executable, ROOT / 'tools/deployment/serve.py',
            *map(str, arguments), '--port',
            str(port)
        ],
                                   stdout=log,
                                   stderr=subprocess.STDOUT,
                                   start_new_session=True,
                                   env=dict(
                                       os.environ,
                                       PYTHONPATH=str(ROOT),
                                       OMP_NUM_THREADS='1',
                                       **environment))
        running = Running(process, port, log)
        started.append(running)
        end = time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            try:
                if running.ask('GET', '/ready')[0] == 200:
                    return running
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f'the server did not start: {running.text()}')

    yield start
    for running in started:
        if running.process.poll() is None:
            # its own session: nothing but the server's processes
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
        running.log.close()
