"""A bank behind HTTP, on LitServe.

LitServe starts the processes, watches them, binds the port, checks keys and
answers ``/health`` and ``/info``. Its own queue takes batches of a fixed size
in order of arrival, cannot be looked into and cannot refuse with headers, so
requests go through a :class:`.Channel` instead, to a loop of our own in its
worker.
"""

import hmac
import os
import signal
import socket
import threading
import time
from contextlib import asynccontextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, AsyncIterator, Sequence

import litserve
from litserve.loops import LitLoop
from litserve.specs.base import LitSpec
from starlette.requests import Request

from ..errors import InputError
from .bodies import Limits, Refusal
from .channel import CLOSED, Channel
from .channel_worker import ChannelWorker
from .front import Front
from .http_protocol import PatientProtocol
from .metrics import share
from .served_bank import Source, open_bank, open_engine, served_subnets

HOSTS = ('127.0.0.1', '0.0.0.0', '::')  # that LitServe takes


class SlackLoop(LitLoop):
    """LitServe's inference loop: ends when those that speak HTTP do."""

    def __call__(self, lit_api: Any, *arguments: Any, **options: Any) -> None:
        """Answers requests; called once, in the worker."""
        lit_api.work()


class FrontSpec(LitSpec):
    """In place of LitServe's own path and queues."""

    def __init__(self) -> None:
        super().__init__()
        self.api_path = '/predict'

    def setup(self, server: Any) -> None:
        """Nothing."""


class Paths:
    """Answers the bank's paths, and leaves all else to an application.

    LitServe's key is asked for, if there is one: its own check would take a
    thread.

    Args:
        app: the application.
        front: answers HTTP requests.
    """

    def __init__(self, app: Any, front: Front) -> None:
        self._app = app
        self._key = os.environ.get('LIT_SERVER_API_KEY', '').encode()
        self._answers = {
            '/predict': ('POST', front.predict),
            '/subnets': ('GET', front.subnets),
            '/ready': ('GET', front.ready),
            '/metrics': ('GET', front.read_metrics),
            '/reload': ('POST', front.reload)
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers a request; the arguments are ASGI's."""
        method, answer = self._answers.get(scope.get('path'), ('', None))
        if answer is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        given = request.headers.get('x-api-key', '').encode()
        if self._key and not hmac.compare_digest(given, self._key):
            response = Refusal(401, 'expected the key in X-API-Key').response()
        elif scope['method'] != method and (scope['method'], method) != ('HEAD',
                                                                         'GET'):
            response = Refusal(405, f'expected {method}').response()
            response.headers['Allow'] = method
        else:
            response = await answer(request)
        await response(scope, receive, send)


class BankAPI(litserve.LitAPI):
    """A bank, for LitServe.

    Args:
        source: the bank.
        channels: to the processes that speak HTTP.
        slo_ms: the objective.
        largest_batch: the most images at once.
    """

    def __init__(self, source: Source, channels: Sequence[Channel],
                 slo_ms: float, largest_batch: int) -> None:
        super().__init__(loop=SlackLoop(), spec=FrontSpec())
        self.source = source
        self.channels = channels
        self.slo_ms = slo_ms
        self.largest_batch = largest_batch

    def setup(self, device: str) -> None:
        """Opens the bank and measures it, in the worker."""
        # the first process acts
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        end_with_parent()
        self.worker = ChannelWorker(
            self.channels,
            partial(open_engine, self.source, self.largest_batch, self.slo_ms))
        for channel in self.channels:
            channel.close_of_front()

    def predict(self, x: Any, **options: Any) -> None:
        """Not used: :meth:`work` takes batches as the policy says."""
        raise NotImplementedError

    def work(self) -> None:
        """Answers requests until there cannot be any more."""
        self.worker.work()


class Server(litserve.LitServer):
    """LitServe's server; opens the channels once its manager runs, and closes
    the ends that a process does not use, so that each notices when another one
    has ended.

    Args:
        front: answers HTTP requests.
        arguments: LitServe's.
    """

    fronts: Sequence[Any] = ()  # processes that speak HTTP

    def __init__(self, front: Front, *arguments: Any, **options: Any) -> None:
        self.front = front
        # before LitServe looks into a request for what it would do with it
        super().__init__(
            *arguments, middlewares=[(Paths, dict(front=front))], **options)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """Around all requests of a process that speaks HTTP."""
        async with super().lifespan(app):
            self.front.begin(app.response_queue_id)
            try:
                yield
            finally:
                self.front.end()

    def _init_manager(self, *arguments: Any) -> Any:
        found = super()._init_manager(*arguments)
        for channel in self.front.channels:
            channel.open()
        return found

    def verify_worker_status(self) -> None:
        """Waits until the worker is ready."""
        super().verify_worker_status()
        for channel in self.front.channels:
            channel.close_of_worker()

    def _start_server(self, *arguments: Any, **options: Any) -> Any:
        found = super()._start_server(*arguments, **options)
        self.fronts = list(found.values())
        for channel in self.front.channels:
            channel.close_of_front()
        return found

    def _perform_graceful_shutdown(self, *arguments: Any) -> Any:
        # LitServe's monitor would ask the manager's event, which ends now
        self._shutdown_event = threading.Event()
        self._shutdown_event.set()
        return super()._perform_graceful_shutdown(*arguments)


def end_with_parent() -> None:
    """Ends this process, gracefully, soon after its parent was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def check_address(host: str, port: int) -> None:
    """Checks that the port can be listened on.

    Raises:
        InputError: if it cannot.
    """
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, port))
        except OSError as error:
            raise InputError(f'--host={host} --port={port}: cannot listen '
                             f'({error.strerror})') from None


def serve(source: Source,
          limits: Limits,
          token: str = '',
          host: str = '127.0.0.1',
          port: int = 8000,
          largest_batch: int = 16,
          drain_s: int = 30,
          keep_alive_s: int = 5,
          http_processes: int = 1,
          log_level: str = 'warning') -> None:
    """Serves a bank until SIGTERM or SIGINT; then answers what it holds.

    At SIGHUP it opens the folder's bank anew, and serves the former one until
    the new one is measured.

    Args:
        source: the bank.
        limits: what requests may be; the objective.
        token: that ``POST /reload`` needs; without one it is not allowed.
        host: the address to listen on, one of three.
        port: the port, from 1024.
        largest_batch: the most images at once.
        drain_s: for answers after the signal.
        keep_alive_s: for an idle connection after an answer.
        http_processes: so many read requests and decode images; the limits are
            those of each.
        log_level: of LitServe and uvicorn.

    Raises:
        InputError: for a bank that cannot be read or served, and for a port
            that cannot be listened on.
        RuntimeError: if one of the processes has ended.
    """
    check_address(host, port)
    net = open_bank(source)
    served_subnets(net, source.only)
    channels = [Channel() for _ in range(http_processes)]
    protocol = type('Protocol', (PatientProtocol, ), dict(head_s=limits.body_s))
    counts = TemporaryDirectory(prefix='pss-')
    share(counts.name)
    front = Front(channels, net, limits, source, token)
    api = BankAPI(source, channels, limits.slo_ms, largest_batch)
    server = Server(
        front,
        api,
        accelerator='cpu',  # the bank has its own device
        devices=1,
        timeout=False,
        disable_openapi_url=True)
    server.uvicorn_graceful_timeout = drain_s
    main = os.getpid()

    def stop(number: int, frame: Any) -> None:
        # those that speak HTTP inherit this, and drain by themselves: all at a
        # time, where LitServe would end one after the other
        if os.getpid() == main:
            for process in server.fronts:
                process.terminate()
            raise KeyboardInterrupt

    def reload(number: int, frame: Any) -> None:
        if os.getpid() == main:
            for process in server.fronts[:1]:
                os.kill(process.pid, number)
        else:
            front.reload_soon()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, reload)
    try:
        server.run(
            host=host,
            port=port,
            num_api_servers=http_processes,
            log_level=log_level,
            generate_client_file=False,
            http=protocol,
            ws='none',
            proxy_headers=False,
            timeout_keep_alive=keep_alive_s,
            access_log=False)
    except CLOSED as error:
        # LitServe has noticed it first, and ended its other processes
        raise RuntimeError('the process that runs the networks has ended, or '
                           'one that speaks HTTP') from error
    finally:
        if os.getpid() == main:
            counts.cleanup()
