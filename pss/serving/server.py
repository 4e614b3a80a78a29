"""A bank behind HTTP, on LitServe.

LitServe starts the processes, watches them, binds the port, checks keys and
answers ``/health`` and ``/info``. Its own queue takes batches of a fixed size
in order of arrival, cannot be looked into and cannot refuse with headers, so
requests go through a :class:`.Channel` instead, to a loop of our own in its
worker.
"""

import os
import signal
import socket
import threading
import time
from typing import Any, Dict

import litserve
from litserve.loops import LitLoop
from litserve.specs.base import LitSpec

from ..errors import InputError
from ..runtime import Adaptive
from .channel import CLOSED, Channel
from .front import Front, Limits
from .latency_grid import LatencyGrid
from .served_bank import Source, measure_grid, open_bank, served_subnets
from .worker import Worker

HOSTS = ('127.0.0.1', '0.0.0.0', '::')  # that LitServe takes


class SlackLoop(LitLoop):
    """LitServe's inference loop: ends when the front process does."""

    def __call__(self, lit_api: Any, *arguments: Any, **options: Any) -> None:
        """Answers requests; called once, in the worker."""
        lit_api.work()


class FrontSpec(LitSpec):
    """The paths that are answered.

    Args:
        front: answers them; stays in the process that speaks HTTP.
    """

    def __init__(self, front: Front) -> None:
        super().__init__()
        self.api_path = '/predict'
        for path, answer, method in (('/predict', front.predict, 'POST'),
                                     ('/subnets', front.subnets,
                                      'GET'), ('/ready', front.ready, 'GET'),
                                     ('/metrics', front.read_metrics, 'GET')):
            self.add_endpoint(path, answer, [method])

    def __getstate__(self) -> Dict[str, Any]:
        return {**super().__getstate__(), '_endpoints': []}

    def setup(self, server: Any) -> None:
        """Nothing: requests do not go through LitServe's queues."""


class BankAPI(litserve.LitAPI):
    """A bank, for LitServe.

    Args:
        source: the bank.
        channel: between the two processes.
        front: answers HTTP requests.
        slo_ms: the objective.
        largest_batch: the most images at once.
    """

    def __init__(self, source: Source, channel: Channel, front: Front,
                 slo_ms: float, largest_batch: int) -> None:
        super().__init__(loop=SlackLoop(), spec=FrontSpec(front))
        self.source = source
        self.channel = channel
        self.slo_ms = slo_ms
        self.largest_batch = largest_batch

    def setup(self, device: str) -> None:
        """Opens the bank and measures it, in the worker."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process acts
        end_with_parent()
        net = open_bank(self.source)
        kepts = served_subnets(net, self.source.only)
        grid = measure_grid(net, kepts, self.largest_batch, self.slo_ms)
        self.worker = Worker(self.channel, net, kepts, grid, self.slo_ms)
        self.channel.answer(described(net, kepts, grid, self.slo_ms))
        self.channel.close_of_front()

    def predict(self, x: Any, **options: Any) -> None:
        """Not used: :meth:`work` takes batches as the policy says."""
        raise NotImplementedError

    def work(self) -> None:
        """Answers requests until there cannot be any more."""
        self.worker.work()


def described(net: Adaptive, kepts: Any, grid: LatencyGrid,
              slo_ms: float) -> Dict[str, Any]:
    """What ``GET /subnets`` says."""
    return dict(
        slo_ms=slo_ms,
        metric=net.subnets.metric,
        resources=net.resources,
        classes=net.classes,
        subnets=[
            dict(
                name=kept.name,
                resolution=kept.subnet.resolution,
                widths=list(kept.subnet.widths),
                costs=dict(kept.costs),
                held_out_accuracy=kept.held_out_accuracy,
                used=i in grid.order,
                capacity=round(grid.capacity(i, slo_ms), 2),
                latency_ms={
                    str(size): round(grid.latencies_ms[i][size], 4)
                    for size in grid.sizes
                }) for i, kept in enumerate(kepts)
        ])


class Server(litserve.LitServer):
    """LitServe's server; opens the channel once its manager runs, and closes
    the ends that a process does not use, so that each notices when the other
    has ended."""

    channel: Channel

    def _init_manager(self, *arguments: Any) -> Any:
        found = super()._init_manager(*arguments)
        self.channel.open()
        return found

    def verify_worker_status(self) -> None:
        """Waits until the worker is ready."""
        super().verify_worker_status()
        self.channel.close_of_worker()

    def _start_server(self, *arguments: Any, **options: Any) -> Any:
        found = super()._start_server(*arguments, **options)
        self.channel.close_of_front()
        return found


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
          host: str = '127.0.0.1',
          port: int = 8000,
          largest_batch: int = 16,
          drain_s: int = 30,
          keep_alive_s: int = 5,
          log_level: str = 'warning') -> None:
    """Serves a bank until SIGTERM or SIGINT; then answers what it holds.

    Args:
        source: the bank.
        limits: what requests may be; the objective.
        host: the address to listen on, one of three.
        port: the port, from 1024.
        largest_batch: the most images at once.
        drain_s: for answers after the signal.
        keep_alive_s: for an idle connection after an answer.
        log_level: of LitServe and uvicorn.

    Raises:
        InputError: for a bank that cannot be read or served, and for a port
            that cannot be listened on.
        RuntimeError: if one of the processes has ended.
    """
    check_address(host, port)
    net = open_bank(source)
    served_subnets(net, source.only)
    channel = Channel()
    front = Front(channel, net, limits)
    api = BankAPI(source, channel, front, limits.slo_ms, largest_batch)
    server = Server(
        api,
        accelerator='cpu',  # the bank has its own device
        devices=1,
        timeout=False,
        disable_openapi_url=True)
    server.channel = channel
    server.uvicorn_graceful_timeout = drain_s
    main = os.getpid()

    def stop(number: int, frame: Any) -> None:
        # the process that speaks HTTP inherits this, and drains by itself
        if os.getpid() == main:
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        server.run(
            host=host,
            port=port,
            num_api_servers=1,
            log_level=log_level,
            generate_client_file=False,
            http='h11',  # bounds headers, unlike httptools
            h11_max_incomplete_event_size=1 << 14,
            timeout_keep_alive=keep_alive_s,
            access_log=False)
    except CLOSED as error:
        # LitServe has noticed it first, and ended its other processes
        raise RuntimeError('the process that runs the networks has ended') \
            from error
