"""Opening a bank of either kind to serve it."""

import hashlib
import io
import json
import math
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from ..errors import InputError
from ..runtime import Adaptive, AdaptiveSession
from ..runtime.device_bank import FORMAT, INDEX, LARGEST_INDEX
from .latency_grid import LatencyGrid
from .worker import Engine, Turn

# Pillow knows more kinds, some of which start other programs
KINDS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'PPM', 'TIFF', 'GIF')
PASSES, PASSES_S = 6, 5.  # over all subnets, when they are measured


class Source(NamedTuple):
    """What a process needs to open a bank.

    Attributes:
        folder: of a bank or a device bank.
        device: where a bank's networks go; a device bank's stay on the CPU.
        threads: that a network computes with.
        trust: packages whose classes a bank may name.
        only: names of the subnets that are served; all if there are none.
        policy: what chooses the subnet of a batch: ``'slack'`` or
            ``'follower'``.
    """
    folder: str
    device: str = 'cpu'
    threads: int = 1
    trust: Tuple[str, ...] = ()
    only: Tuple[str, ...] = ()
    policy: str = 'slack'


def open_bank(source: Source) -> Adaptive:
    """Opens a bank or a device bank, told apart by the format in its index.

    Raises:
        InputError: for one that cannot be read, and for one whose task is not
            classification.
    """
    if _format(source.folder) != FORMAT:
        # a device bank is served without them
        import torch

        from ..apis.adaptive_classifier import AdaptiveClassifier
        torch.set_num_threads(source.threads)
        return AdaptiveClassifier(
            source.folder, source.device, trust=source.trust)
    for name, given in (('device', source.device
                         != 'cpu'), ('trust', bool(source.trust))):
        if given:
            raise InputError(f'--{name}={getattr(source, name)}: expected a '
                             f"bank with PyTorch; {source.folder} is a device "
                             'bank')
    # a session is opened in 50 ms, so all stay open. Each has an arena of its
    # own: with one for all, a batch took up to half as long again
    net = AdaptiveSession(source.folder, keep=1 << 20, threads=source.threads)
    if net.bank.task != 'classification':
        raise InputError(f'{source.folder}: task={net.bank.task!r}: expected '
                         'classification')
    return net


def _format(folder: str) -> Optional[str]:
    """What an index says; whoever reads the bank says what is wrong."""
    index = Path(folder) / INDEX
    try:
        if not index.is_file():  # opening a named pipe would wait for ever
            return None
        with open(index, 'rb') as file:
            value = json.loads(file.read(LARGEST_INDEX + 1))
    except (OSError, ValueError, RecursionError):
        return None
    return value.get('format') if isinstance(value, dict) else None


def index_of(source: Source) -> str:
    """Identifies a bank by its index: the SHA-256 of the file."""
    return hashlib.sha256(
        (Path(source.folder) / INDEX).read_bytes()).hexdigest()


def open_engine(source: Source, largest_batch: int, slo_ms: float,
                turn: Turn) -> Engine:
    """Opens and measures a bank.

    Args:
        source: the bank.
        largest_batch: the most images at once.
        slo_ms: the objective.
        turn: held around each batch that is measured.

    Raises:
        InputError: for a bank that cannot be read or served.
    """
    net = open_bank(source)
    index = index_of(source)
    kepts = served_subnets(net, source.only)
    grid = measure_grid(net, kepts, largest_batch, slo_ms, turn=turn)
    return Engine(net, kepts, grid, slo_ms, source.policy, index)


def served_subnets(net: Adaptive, only: Sequence[str]) -> List[Any]:
    """The subnets that are served, each once, since one may have several names.

    Args:
        net: the bank.
        only: their names; all if there are none.

    Raises:
        InputError: for a name that is not in the bank.
    """
    names = [kept.name for kept in net.subnets]
    for name in only:
        if name not in names:
            raise InputError(f'--only={name!r}: not in the bank; expected some '
                             f'of {names}')
    return list({
        kept.subnet: kept
        for kept in net.subnets if not only or kept.name in only
    }.values())


def measure_grid(net: Adaptive,
                 kepts: Sequence[Any],
                 largest: int,
                 most_ms: float,
                 rounds: int = 3,
                 turn: Turn = nullcontext) -> LatencyGrid:
    """Measures how long each subnet takes for 1, 2, 4, ... images.

    Args:
        net: the bank.
        kepts: its subnets.
        largest: the most images at once.
        most_ms: sizes whose batches take longer are not measured.
        rounds: so many batches of each size are timed in each pass; there are
            two, and up to six in five seconds.
        turn: held around each batch.

    Returns:
        Their grid: the shortest of all times, since another load can only add
        to them.
    """
    sizes = sorted({
        *(1 << k for k in range(largest.bit_length()) if 1 << k <= largest),
        largest
    })
    blank = blank_image(net)
    times = np.full((len(kepts), len(sizes)), np.inf)
    start = time.monotonic()
    for number in range(PASSES):
        if number > 1 and time.monotonic() - start > PASSES_S:
            break
        for i, kept in enumerate(kepts):
            with turn():
                net.run(kept, [blank])  # opens it
            for k, size in enumerate(sizes):
                if k and times[i, k - 1] > most_ms:
                    times[i, k] = times[i, k - 1] * size / sizes[k - 1]
                    continue
                batch = np.stack([blank] * size)
                found = []
                for _ in range(rounds):
                    with turn():
                        before = time.perf_counter()
                        net.run(kept, batch)
                        found.append(1e3 * (time.perf_counter() - before))
                times[i, k] = min(times[i, k], *found)
    return LatencyGrid(sizes, times.tolist(),
                       [kept.held_out_accuracy for kept in kepts])


def blank_image(net: Adaptive) -> np.ndarray:
    """A loaded image of zeros."""
    _, height, width = net.input_shape
    for side in ((height, width), (2 * height, 2 * width)):
        try:
            return np.zeros_like(net.load(np.zeros((*side, 1), np.uint8))[0])
        except InputError:  # another size than its steps make fit
            continue
    raise InputError(f'no image of {height} x {width} pixels fits the bank')


def check_images(net: Adaptive, contents: Sequence[bytes],
                 most_pixels: int) -> int:
    """Reads the headers of image files.

    Args:
        net: the bank.
        contents: of the files.
        most_pixels: of an image.

    Returns:
        How many pixels loading them takes: what they have, or have about after
        they are resized along their shorter side, if these are more.

    Raises:
        InputError: for one that is not an image of a known kind, and for one of
            too many pixels.
    """
    pixels, resized = 0, math.prod(net.input_shape[1:])
    for i, content in enumerate(contents):
        try:
            with Image.open(io.BytesIO(content), formats=KINDS) as header:
                width, height = header.size
        except Exception as error:  # each format has its own types
            kind = type(error).__name__
            if 'DecompressionBomb' in kind:
                raise InputError(f'images[{i}]: too many pixels; expected at '
                                 f'most {most_pixels}') from None
            raise InputError(f'images[{i}]: not an image; expected a file of '
                             f'one of {", ".join(KINDS)}') from None
        if width * height > most_pixels:
            raise InputError(f'images[{i}]: {width} x {height} pixels; '
                             f'expected at most {most_pixels} of them')
        ratio = max(width, height) / max(min(width, height), 1)
        pixels += max(width * height, int(ratio * resized))
    return pixels


def decode(net: Adaptive, contents: Sequence[bytes],
           most_pixels: int) -> List[np.ndarray]:
    """Checks and loads image files; see :func:`check_images`."""
    check_images(net, contents, most_pixels)
    return net.load(list(contents))
