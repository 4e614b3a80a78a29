"""Running one subnet at a time, and following a latency."""

import math
import threading
import time
from abc import abstractmethod
from dataclasses import replace
from statistics import median
from typing import (
    Any,
    Dict,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np

from .errors import InputError, integer, number
from .latency_follower import LatencyFollower
from .selection import BankSelection, SubnetTable

MEASURED = 'latency_ms'  # the resource that :meth:`Adaptive.measure` adds


class Running(NamedTuple):
    """All that a request needs of a subnet, behind one reference."""
    kept: Any
    network: Any


class Adaptive(BankSelection):
    """Base class of classifiers that switch between the subnets of a bank.

    A switch exchanges one reference, and a request that is running ends with
    the subnet it began with. Any number of threads may predict and switch.

    Args:
        bank: see :class:`.BankSelection`.

    Attributes:
        input_shape (tuple[int]): channels, height and width after
            preprocessing.
    """

    input_shape: Tuple[int, ...]

    def __init__(self, bank: Any) -> None:
        super().__init__(bank)
        self._following: Optional[Tuple[LatencyFollower, List[Any]]] = None
        # held to switch; a prediction takes the active reference once instead
        self._writing = threading.Lock()
        self._active = self._running(self.select())

    @abstractmethod
    def _open(self, kept: Any) -> Any:
        """The network of a kept subnet, ready to run."""

    @abstractmethod
    def _load(self, images: Any) -> List[Any]:
        """Images as networks take them, but for the normalisation."""

    @abstractmethod
    def _scores(self, network: Any,
                loaded: Sequence[Any]) -> Iterable[np.ndarray]:
        """The scores ``(classes, )`` of each of a batch of loaded images."""

    def _run(self, network: Any, loaded: Sequence[Any]) -> List[Dict[str, Any]]:
        """The predictions of a network for a batch of loaded images."""
        results = []
        for scores in self._scores(network, loaded):
            if not np.isfinite(scores).all():
                raise InputError('the scores of the network are not finite: '
                                 'expected weights and images of ordinary size')
            label = int(scores.argmax())
            result = dict(
                pred_scores=scores,
                pred_label=label,
                pred_score=float(scores[label]))
            if self.classes is not None:
                result['pred_class'] = self.classes[label]
            results.append(result)
        return results

    def _answer(self, network: Any, images: Any,
                batch_size: int) -> List[Dict[str, Any]]:
        """The predictions of a network."""
        loaded = self._load(images)
        results = []
        for first in range(0, len(loaded), batch_size):
            results += self._run(network, loaded[first:first + batch_size])
        return results

    def _blank(self) -> np.ndarray:
        """One blank image."""
        channels, height, width = self.input_shape
        return np.zeros((height, width, channels), np.uint8)

    def _running(self, kept: Any) -> Running:
        return Running(kept, self._open(kept))

    @property
    def active(self) -> Any:
        """The subnet that the next request runs; at first the most accurate.

        :meth:`.BankSelection.switch` and :meth:`.Adaptive.follow` change
        it. Switching also ends following.
        """
        return self._active.kept

    def _activate(self, kept: Any) -> None:
        running = self._running(kept)
        with self._writing:
            self._following = None
            self._active = running

    def predict(self,
                images: Any,
                batch_size: int = 32) -> List[Dict[str, Any]]:
        """Labels and scores, in the form of mmpretrain's inferencer.

        The subnet that is active at the beginning answers all images.

        Args:
            images: one image or a list of them, each a path, an image file's
                content as ``bytes``, or an array ``(H, W)`` or ``(H, W, C)``;
                or a batch, an array ``(N, H, W, C)``. Channels are BGR, as
                OpenCV reads them, and values 0 to 255. With PyTorch, tensors
                ``(C, H, W)`` and ``(N, C, H, W)`` too.
            batch_size: how many images run at once.

        Returns:
            For each image ``pred_scores`` (an array of shape ``(classes, )``),
            ``pred_label``, ``pred_score`` and, if the bank has class names,
            ``pred_class``.

        Raises:
            InputError: for a file that is not an image, and for an image of
                another shape or type.
        """
        integer('batch_size', batch_size)
        running, following = self._active, self._following
        start = time.perf_counter()
        results = self._answer(running.network, images, batch_size)
        if following is None or not results:
            return results
        follower, choices = following
        names = [kept.name for kept in choices]
        if running.kept.name in names:
            position = follower.observe(
                names.index(running.kept.name),
                1e3 * (time.perf_counter() - start))
            if choices[position].name != running.kept.name:
                running = self._running(choices[position])
                with self._writing:
                    if self._following is following:  # not ended meanwhile
                        self._active = running
        return results

    def load(self, images: Any) -> List[np.ndarray]:
        """The first half of :meth:`predict`, which needs no network: decodes,
        resizes and crops, so that all images have one shape.

        Args:
            images: see :meth:`predict`.

        Raises:
            InputError: as :meth:`predict` does.
        """
        return [np.asarray(image) for image in self._load(images)]

    def run(self, kept: Any, loaded: Any) -> List[Dict[str, Any]]:
        """The other half of :meth:`predict`, with any subnet.

        Neither the active subnet nor following has to do with it.

        Args:
            kept: an entry of ``subnets``.
            loaded: what :meth:`load` gave, as one batch: a list, or an array.

        Returns:
            See :meth:`predict`.
        """
        return self._run(self._open(kept), loaded) if len(loaded) else []

    def measure(self, images: Any = None, rounds: int = 5) -> Dict[str, float]:
        """Measures how long a request takes each subnet on this device.

        From then on ``latency_ms`` is one of ``resources``, to choose by.

        Args:
            images: a typical request; one blank image by default.
            rounds: so many requests are timed, twice, after one to warm up.

        Returns:
            The median latency by the subnet's name, in milliseconds; the lower
            of two, since another load may have come in between.
        """
        integer('rounds', rounds)
        images = self._blank() if images is None else images
        found: Dict[str, float] = {}
        for kept in (*self.subnets, *reversed(self.subnets)):
            network = self._open(kept)
            times = []
            for _ in range(rounds + 1):
                start = time.perf_counter()
                self._answer(network, images, 1 << 30)
                times.append(1e3 * (time.perf_counter() - start))
            found[kept.name] = min(
                median(times[1:]), found.get(kept.name, math.inf))
        self.resources = {**self.resources, MEASURED: 'ms'}
        self.subnets = SubnetTable.of([
            replace(kept, costs={
                **kept.costs, MEASURED: found[kept.name]
            }) for kept in self.subnets
        ], self.resources, self.subnets.metric)
        return found

    def follow(self,
               latency_ms: Optional[float],
               images: Any = None,
               **options: Any) -> Optional[LatencyFollower]:
        """Switches between subnets by itself, to stay within a latency.

        First it measures how long each subnet takes now. From then on every
        :meth:`predict` is timed, and how much slower the recent ones were
        decides on the subnet for the next one, see :class:`.LatencyFollower`.
        Requests should be of similar size; :meth:`.BankSelection.switch` ends
        it.

        Args:
            latency_ms: the most that :meth:`predict` should take, in
                milliseconds; ``None`` ends the following.
            images: a typical request; one blank image by default.
            **options: further arguments of :class:`.LatencyFollower`:
                ``share``, ``patience``.

        Returns:
            What chooses the subnets, to inspect; ``None`` after the end.

        Raises:
            InputError: for a latency that is not a finite number above 0, for
                one that no subnet meets even now (it names the fastest), and
                for an option that is unknown or out of its range. An earlier
                following then goes on.
        """
        if latency_ms is None:
            with self._writing:
                self._following = None
            return None
        number('latency_ms', latency_ms, above=0)
        for key in set(options) - {'share', 'patience'}:
            raise InputError(f'follow: unknown key {key!r}; expected one of '
                             "'patience', 'share'")
        typical = self.measure(images)
        # a subnet may have several names
        choices = list({kept.subnet: kept for kept in self.subnets}.values())
        times = [typical[kept.name] for kept in choices]
        if min(times) > latency_ms:
            fastest = choices[times.index(min(times))].name
            raise InputError(f'latency_ms={latency_ms:g}: no subnet meets it; '
                             f'the nearest is {fastest!r}, which needs '
                             f'{min(times):.3g} ms for such a request')
        follower = LatencyFollower(
            float(latency_ms), times,
            [kept.held_out_accuracy for kept in choices], **options)
        running = self._running(choices[follower.position])
        with self._writing:
            self._active, self._following = running, (follower, choices)
        return follower
