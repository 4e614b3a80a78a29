"""An open-loop client: requests are sent when they are due, whatever became of
those before, over as many connections as that takes."""

import asyncio
import io
import json
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from pss.errors import InputError

RATES = (0.5, 1.5, 3., 0.5)  # times the most accurate subnet's capacity
SLICE = 0.25  # seconds, of which reports say how slow batches were
BOUNDARY = b'e5d1a7'
# in Python 3.10 asyncio has a TimeoutError of its own
LOST = (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError)
Connection = Tuple[asyncio.StreamReader, asyncio.StreamWriter]


def arrivals(capacity: float,
             seconds: float,
             seed: int,
             rates: Sequence[float] = RATES) -> np.ndarray:
    """Times of all phases, in seconds."""
    rng = np.random.default_rng(seed)
    return np.concatenate([
        seconds *
        (phase +
         np.sort(rng.uniform(0, 1, rng.poisson(rate * capacity * seconds))))
        for phase, rate in enumerate(rates)
    ])


class Answer(NamedTuple):
    """What became of a request.

    Attributes:
        sent: when it was due, in seconds from the beginning.
        ms: until the whole answer was read.
        status: of HTTP; 0 if there was no answer.
        images: what the server says of each: its class, which subnet answered
            it, in a batch of how many, and what that took.
        first: the index of the request's first image.
        problem: why there was no answer.
        is_second: whether the first attempt found a connection that the server
            had closed, since it was idle.
    """
    sent: float
    ms: float
    status: int
    images: List[Dict[str, Any]]
    first: int
    problem: str = ''
    is_second: bool = False

    @property
    def subnet(self) -> str:
        """That answered its first image."""
        return self.images[0]['subnet'] if self.images else ''


class Client:
    """Sends requests at given times over as many connections as it takes.

    Args:
        port: of the server.
        files: image files.
        images: so many of them are in a request.
        patience_s: until a request counts as lost.
    """

    def __init__(self,
                 port: int,
                 files: List[bytes],
                 images: int,
                 patience_s: float = 10.) -> None:
        self.port = port
        self.patience_s = patience_s
        self.images = images
        self.requests = [
            b'POST /predict?top=1 HTTP/1.1\r\nHost: a\r\n'
            b'Content-Type: multipart/form-data; boundary=%s\r\n'
            b'Content-Length: %d\r\n\r\n' % (BOUNDARY, len(body)) + body
            for body in (form(files[i:i + images])
                         for i in range(0,
                                        len(files) - images + 1, images))
        ]
        self.free: List[Connection] = []

    async def send(self, times: np.ndarray) -> List[Answer]:
        """Sends a request at each time, in seconds from now."""
        start = time.perf_counter()
        tasks = []
        for i, due in enumerate(times):
            wait = start + due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            tasks.append(
                asyncio.ensure_future(
                    self._one(start, due, i % len(self.requests))))
        found = await asyncio.gather(*tasks)
        for _, writer in self.free:
            writer.close()
        return list(found)

    async def _one(self, start: float, due: float, which: int) -> Answer:
        """A request; its latency counts from when it was due."""
        status, problem, is_second = 0, '', False
        value: Dict[str, Any] = {}
        try:
            status, value, is_second = await asyncio.wait_for(
                self._ask(which), self.patience_s)
        except LOST as error:
            problem = type(error).__name__
        return Answer(due, 1e3 * (time.perf_counter() - start - due), status,
                      value.get('predictions', []), which * self.images,
                      problem, is_second)

    async def _ask(self, which: int) -> Tuple[int, Dict[str, Any], bool]:
        """Status, body, and whether it took a second attempt.

        A server may close an idle connection while a request is on its way: a
        client of HTTP sends it again then, on a new one.
        """
        connection = self._idle()
        if connection is not None:
            try:
                return (*await self._ask_on(connection, which), False)
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    raise
            except ConnectionError:
                pass
        return (*await self._ask_on(
            await asyncio.open_connection('127.0.0.1', self.port), which),
                connection is not None)

    def _idle(self) -> Optional[Connection]:
        """A connection that the server has not closed, as far as is known."""
        while self.free:
            reader, writer = self.free.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return None

    async def _ask_on(self, connection: Connection,
                      which: int) -> Tuple[int, Dict[str, Any]]:
        reader, writer = connection
        is_kept = False
        try:
            writer.write(self.requests[which])
            head = (await reader.readuntil(b'\r\n\r\n')).lower()
            size = int(head.partition(b'content-length:')[2].split(b'\r')[0])
            content = await reader.readexactly(size)
            is_kept = b'connection: close' not in head
        finally:
            if is_kept:
                self.free.append(connection)
            else:
                writer.close()
        return int(head[9:12]), json.loads(content)


def form(files: List[bytes]) -> bytes:
    """A form upload of some files."""
    return b''.join(
        b'--%s\r\nContent-Disposition: form-data; name="image"; filename="a"'
        b'\r\n\r\n%s\r\n' % (BOUNDARY, file)
        for file in files) + b'--%s--\r\n' % BOUNDARY


def drawn_images(num: int, side: int) -> List[bytes]:
    """JPEG files of smooth random images."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(num):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize(
            (side, side)).save(buffer, 'JPEG')
        found.append(buffer.getvalue())
    return found


def labelled_images(folder: str, num: int) -> Tuple[List[bytes], List[int]]:
    """PNG files of Fashion-MNIST's test images, and their labels."""
    pixels = np.fromfile(f'{folder}/t10k-images-idx3-ubyte', np.uint8)[16:]
    labels = np.fromfile(f'{folder}/t10k-labels-idx1-ubyte', np.uint8)[8:]
    found = []
    for image in pixels.reshape(-1, 28, 28)[:num]:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, 'PNG')
        found.append(buffer.getvalue())
    return found, labels[:num].tolist()


def folder_images(folder: str, num: int) -> Tuple[List[bytes], List[int]]:
    """Files of a folder with a folder for each class, evenly spread, and their
    labels: the places of these folders by their names."""
    files = [(path, label) for label, inner in enumerate(
        sorted(path for path in Path(folder).iterdir() if path.is_dir()))
             for path in sorted(inner.iterdir())]
    if not files:
        raise InputError(f'--folder={folder}: no files; expected a folder for '
                         'each class')
    chosen = files[::max(len(files) // num, 1)][:num]
    return [path.read_bytes()
            for path, _ in chosen], [label for _, label in chosen]
