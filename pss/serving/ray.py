"""A bank on several machines: an application for Ray Serve.

    serve run pss.serving.ray:app bank=work_dirs/demo/bank slo_ms=50 replicas=2

Ray starts, watches, scales and routes to the replicas. Each has a bank of its
own, and a queue that the policy of the one-machine server answers from.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, Dict, List, Optional

import numpy as np
from pydantic import BaseModel, Field
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.handle import DeploymentHandle
from ray.serve.metrics import Counter, Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ..errors import InputError
from .bodies import Bodies, Limits, Refusal, refusal_of, top_of
from .channel import Asked, clock
from .estimates import Overhead
from .metrics import SIZES
from .served_bank import Source, decode, open_engine
from .worker import Ran, Worker
from .worker import Request as Queued

TRIES = 3  # replicas that a request is sent to, if one dies after the other


class Settings(BaseModel, extra='forbid'):
    """What ``serve run`` takes.

    Attributes:
        bank: the folder of a bank or a device bank, on every machine.
        slo_ms: answer within so many milliseconds.
        replicas: how many there are, or at least.
        max_replicas: how many there are at most; then Ray scales by the number
            of requests that each has.
        requests: that a replica should have at a time, when Ray scales.
        device: where a bank's networks go.
        threads: that a network computes with.
        gpus: of each replica.
        max_batch: most images in a batch.
        only: names of the subnets that are served, with commas between them.
        trust: packages whose classes the bank may name, with commas.
        max_body_mb, max_images, max_megapixels: limits of a request.
    """
    bank: str
    slo_ms: float = Field(50., gt=0, le=6e4)
    replicas: int = Field(1, ge=1)
    max_replicas: Optional[int] = Field(None, ge=1)
    requests: float = Field(4., gt=0)
    device: str = 'cpu'
    threads: int = Field(1, ge=1)
    gpus: float = Field(0., ge=0)
    max_batch: int = Field(16, ge=1, le=1024)
    only: str = ''
    trust: str = ''
    max_body_mb: float = Field(16., gt=0, le=1024)
    max_images: int = Field(16, ge=1, le=1024)
    max_megapixels: float = Field(32., gt=0, le=128)


class AwaitedRequest(Queued):
    """A request that a coroutine waits for."""

    def __init__(self, asked: Asked, images: np.ndarray) -> None:
        super().__init__(asked, images)
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future = self._loop.create_future()

    def settle(self, value: Dict[str, Any]) -> None:
        """Answers it, from any thread."""
        self._loop.call_soon_threadsafe(self._settle, value)

    def _settle(self, value: Dict[str, Any]) -> None:
        if not self.answer.done():
            self.answer.set_result(value)


class BankReplica(Worker):
    """Runs the networks of a bank.

    Args:
        source: the bank.
        limits: what requests may be; the objective.
        largest_batch: the most images at once.
    """

    def __init__(self, source: Source, limits: Limits,
                 largest_batch: int) -> None:
        super().__init__(
            open_engine(source, largest_batch, limits.slo_ms, nullcontext))
        self._limits = limits
        self._pool = ThreadPoolExecutor(2)
        self._images = Counter(
            'pss_images',
            'Images answered by each subnet',
            tag_keys=('subnet', ))
        self._sizes = Histogram(
            'pss_batch_size', 'Images of a batch', boundaries=list(SIZES))
        self._thread = threading.Thread(target=self.work, daemon=True)
        self._thread.start()

    def check_health(self) -> None:
        """Called by Ray, which replaces a replica that raises."""
        if not self._thread.is_alive():
            raise RuntimeError('the thread that runs the networks has ended')

    async def subnets(self) -> Dict[str, Any]:
        """What ``GET /subnets`` says."""
        return self.engines[0].described()

    async def predict(self, contents: List[bytes], spent_ms: float,
                      reserve_ms: float, top: Optional[int]) -> Dict[str, Any]:
        """Answers the images of a request.

        Args:
            contents: image files.
            spent_ms: since the request arrived.
            reserve_ms: how long its answer takes after this.
            top: how many classes are asked for; ``None`` for all scores.

        Returns:
            ``results``, one for each image; or ``refused``, when to come again;
            or ``error`` and its ``status``.
        """
        arrived = clock() - spent_ms
        net = self.engines[0].net
        try:
            images = await asyncio.get_running_loop().run_in_executor(
                self._pool, decode, net, contents, self._limits.pixels)
        except InputError as error:
            return dict(status=422, error=str(error))
        request = AwaitedRequest(
            Asked(0, arrived, reserve_ms, top), np.stack(images))
        self.admit(request)
        return await request.answer

    def refused(self, request: Queued, wait_ms: float) -> None:
        """See :class:`.Worker`."""
        assert isinstance(request, AwaitedRequest)
        request.settle(dict(refused=wait_ms))

    def ran(self, found: Ran) -> None:
        """See :class:`.Worker`."""
        if found.batch['size']:
            self._images.inc(
                found.batch['size'], tags=dict(subnet=found.batch['subnet']))
            self._sizes.observe(found.batch['size'])
        for requests, value in ((found.answered, {}),
                                (found.failed,
                                 dict(status=500, error=found.problem))):
            for request in requests:
                assert isinstance(request, AwaitedRequest)
                request.settle(value or dict(results=request.results))


class Ingress:
    """Answers HTTP requests with what a replica says.

    Args:
        bank: the replicas.
        limits: what requests may be; the objective.
    """

    def __init__(self, bank: DeploymentHandle, limits: Limits) -> None:
        self._bank = bank
        self._limits = limits
        self._bodies = Bodies(limits, ThreadPoolExecutor(1))
        self._overhead = Overhead(limits.slo_ms)

    async def __call__(self, request: Request) -> Response:
        """``POST /predict`` and ``GET /subnets``."""
        paths = {
            '/predict': ('POST', self._predict),
            '/subnets': ('GET', self._subnets)
        }
        try:
            method, answer = paths.get(request.url.path, ('', None))
            if answer is None:
                raise Refusal(404, f'expected one of {", ".join(paths)}')
            if request.method != method:
                raise Refusal(405, f'expected {method}')
            return await answer(request)
        except Refusal as refusal:
            return refusal.response()
        except ClientDisconnect:
            return Response(status_code=400)

    async def _subnets(self, request: Request) -> Response:
        return JSONResponse(await self._ask('subnets'))

    async def _predict(self, request: Request) -> Response:
        top = top_of(request.query_params.get('top'))
        contents, arrived = await self._bodies.files(request)
        value = await self._ask('predict', contents, lambda: clock() - arrived,
                                self._overhead.reserve_ms(clock()), top)
        if 'refused' in value:
            raise refusal_of(value['refused'], self._limits.slo_ms)
        if 'error' in value:
            raise Refusal(value['status'], value['error'])
        now = clock()
        total = now - arrived
        self._overhead.observe(now, total, value['results'])
        return JSONResponse(
            dict(predictions=value['results'], total_ms=round(total, 3)))

    async def _ask(self, method: str, *arguments: Any) -> Any:
        """Calls a replica, and another one if it dies meanwhile: nothing that
        it has done is seen by others. Arguments that are functions are called
        each time."""
        for _ in range(TRIES):
            given = [a() if callable(a) else a for a in arguments]
            try:
                return await getattr(self._bank, method).remote(*given)
            except RayActorError:
                continue
        raise Refusal(503, 'replicas end before they answer', 1e3)


def app(settings: Settings) -> serve.Application:
    """The application."""
    limits = Limits(
        slo_ms=settings.slo_ms,
        body_bytes=int(settings.max_body_mb * 1e6),
        images=settings.max_images,
        pixels=int(settings.max_megapixels * 1e6))
    source = Source(settings.bank, settings.device, settings.threads,
                    _names(settings.trust), _names(settings.only))
    number: Dict[str, Any] = dict(num_replicas=settings.replicas)
    if settings.max_replicas is not None:
        number = dict(
            autoscaling_config=dict(
                min_replicas=settings.replicas,
                max_replicas=settings.max_replicas,
                target_ongoing_requests=settings.requests))
    bank = serve.deployment(
        max_ongoing_requests=limits.requests,
        ray_actor_options=dict(
            num_cpus=settings.threads, num_gpus=settings.gpus),
        **number)(BankReplica).bind(source, limits, settings.max_batch)
    return serve.deployment(
        max_ongoing_requests=limits.requests,
        ray_actor_options=dict(num_cpus=0))(Ingress).bind(bank, limits)


def _names(text: str) -> Any:
    return tuple(name for name in text.split(',') if name)
