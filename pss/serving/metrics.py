"""What Prometheus reads of a server, whichever of its processes it asks."""

import os
from typing import Any, Dict

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import Response

MS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 200, 500, 1000, 5000)
SIZES = (1, 2, 4, 8, 16, 32, 64)


def share(folder: str) -> None:
    """Lets the :class:`Metrics` that are made from now on, and their copies in
    forked processes, count in files there, so that each can add them up."""
    os.environ['PROMETHEUS_MULTIPROC_DIR'] = folder
    values.ValueClass = values.MultiProcessValue()


class Metrics:
    """What Prometheus reads; see :func:`share`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            'pss_requests',
            'Requests by HTTP status', ['status'],
            registry=self.registry)
        self.misses = Counter(
            'pss_misses',
            'Requests that were not answered within the objective', ['reason'],
            registry=self.registry)
        self.images = Counter(
            'pss_images',
            'Images answered by each subnet', ['subnet'],
            registry=self.registry)
        self.sizes = Histogram(
            'pss_batch_size',
            'Images of a batch',
            buckets=SIZES,
            registry=self.registry)
        self.network = Histogram(
            'pss_batch_ms',
            'Milliseconds of a batch in the network',
            buckets=MS,
            registry=self.registry)
        self.queue = Histogram(
            'pss_queue_ms',
            'Milliseconds from the arrival of an image to its batch',
            buckets=MS,
            registry=self.registry)
        self.whole = Histogram(
            'pss_response_ms',
            'Milliseconds from the arrival of a request to its answer',
            buckets=MS,
            registry=self.registry)
        self.waiting = Gauge(
            'pss_waiting',
            'Images left waiting when the last batch began',
            multiprocess_mode='mostrecent',
            registry=self.registry)
        self.slowness = Gauge(
            'pss_slowness',
            'How much slower batches are than measured at the start',
            multiprocess_mode='mostrecent',
            registry=self.registry)
        for reason in ('late', 'refused'):
            self.misses.labels(reason)

    def of_batch(self, batch: Dict[str, Any]) -> None:
        """Records a batch, as the worker describes it."""
        self.waiting.set(batch['waiting'])
        self.slowness.set(batch['slowness'])
        if batch['size']:
            self.images.labels(batch['subnet']).inc(batch['size'])
            self.sizes.observe(batch['size'])
            self.network.observe(batch['ms'])

    def response(self) -> Response:
        """All of it, of all processes, in Prometheus' text format."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return Response(
            generate_latest(registry),
            headers={'Content-Type': CONTENT_TYPE_LATEST})
