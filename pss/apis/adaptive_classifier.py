"""A classifier that switches between the subnets of a bank."""

import threading
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from ..checks import check_integer, check_keys, check_number
from ..deploy.bank import KeptSubnet, check_classes
from ..deploy.bank_networks import build_supernet, kept_networks
from ..deploy.bank_reading import read_bank
from ..deploy.latency_follower import LatencyFollower
from ..deploy.preprocessing import Image, Preprocessing
from ..deploy.vocabularies import Trust
from ..errors import InputError, first_line
from ..files import FilePath
from ..models import KeptNetwork, SupernetClassifier
from .bank_selection import BankSelection


class _Running(NamedTuple):
    """All that a request needs of a subnet, behind one reference."""
    kept: KeptSubnet
    network: KeptNetwork


class AdaptiveClassifier(BankSelection):
    """One classifier at many sizes, for a device whose resources vary.

    ::

        net = AdaptiveClassifier('work_dirs/demo/bank')
        print(net.subnets)           # what each costs, and how accurate it is
        net.switch(flops=60)         # the most accurate within 60 MFLOPs
        net.predict('image.png')

    All subnets of the bank are ready to run over one set of weights, each with
    batch-norm statistics of its own. A switch exchanges one reference, which
    takes microseconds, and a request that is running ends with the subnet it
    began with. Any number of threads may predict and switch.

    Args:
        bank: the bank's folder, see :mod:`pss.deploy.bank_format`.
        device: where the networks go.
        copies_mb: the most memory, in MB, for contiguous copies of weights with
            fewer input channels, see :class:`.SharedWeights`. MobileNetV2 with
            22 pools takes about 40. Beyond the limit, subnets give the same
            results, but are slower.
        trust: packages whose registered classes the bank may name, see
            :func:`.read_bank`; by default, reading a bank runs no code in it.

    Attributes:
        subnets (SubnetTable): the kept subnets, smallest first.
        resources (dict[str, str]): the unit of every resource.
        classes (tuple[str] or None): names of the classes.

    Raises:
        InputError: for a bank that cannot be read, see :func:`.read_bank`, and
            for a device that is not available.
    """

    def __init__(self,
                 bank: FilePath,
                 device: Union[str, torch.device] = 'cpu',
                 copies_mb: float = 512,
                 trust: Trust = ()) -> None:
        check_number('copies_mb', copies_mb, least=0)
        try:
            self.device = torch.device(device)
            torch.zeros(1, device=self.device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise InputError(
                f'device={str(device)!r}: {first_line(error)}') from None
        contents = read_bank(bank, trust)
        super().__init__(contents)
        self.input_shape = contents.input_shape
        model = build_supernet(contents, SupernetClassifier, self.device)
        check_classes(self.classes, contents.model, f'bank {bank}')
        networks, self._weights = kept_networks(contents, model,
                                                copies_mb * 1e6)
        self._running = {
            kept.name: _Running(kept, networks[kept.subnet])
            for kept in self.subnets
        }
        self._preprocessing = Preprocessing(contents, model)
        self._following: Optional[Tuple[LatencyFollower,
                                        Sequence[_Running]]] = None
        # held to switch; a prediction takes the active reference once instead
        self._writing = threading.Lock()
        self._active = self._running[self.select().name]

    @property
    def active(self) -> KeptSubnet:
        """The subnet that the next request runs; at first the most accurate.

        :meth:`switch` and :meth:`follow` change it. Switching also ends
        following.
        """
        return self._active.kept

    @property
    def network(self) -> KeptNetwork:
        """The active network: preprocessed images ``(N, C, H, W)`` to logits
        ``(N, classes)``."""
        return self._active.network

    @property
    def copied_bytes(self) -> int:
        """Bytes that contiguous copies of weights take beside the weights."""
        return self._weights.copied_bytes

    def __repr__(self) -> str:
        return (f'AdaptiveClassifier(active={self.active.name!r}, '
                f'device={str(self.device)!r})\n{self.subnets!r}')

    def _activate(self, kept: KeptSubnet) -> None:
        with self._writing:
            self._following = None
            self._active = self._running[kept.name]

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        """Logits ``(N, classes)`` of the active subnet.

        Args:
            inputs: preprocessed images ``(N, C, H, W)`` on the networks'
                device; the network resizes them to its resolution.
        """
        return self._active.network(inputs)

    def predict(self,
                images: Union[Image, Sequence[Image]],
                batch_size: int = 32) -> List[Dict[str, Any]]:
        """Labels and scores, in the form of mmpretrain's inferencer.

        The subnet that is active at the beginning answers all images.

        Args:
            images: one image or a list of them, each a path; an array ``(H,
                W)`` or ``(H, W, C)``; or a tensor ``(C, H, W)``. Or a batch: an
                array ``(N, H, W, C)`` or a tensor ``(N, C, H, W)``. Channels
                are BGR, as OpenCV reads them, and values 0 to 255.
            batch_size: how many images run at once.

        Returns:
            For each image ``pred_scores`` (an array of shape ``(classes, )``),
            ``pred_label``, ``pred_score`` and, if the bank has class names,
            ``pred_class``.

        Raises:
            InputError: for a file that is not an image, and for an image of
                another shape or type.
        """
        check_integer('batch_size', batch_size, 1)
        running, following = self._active, self._following
        start = time.perf_counter()
        results = self._predict(running.network, images, batch_size)
        if following is not None and results:
            follower, choices = following
            if running in choices:
                position = follower.observe(
                    choices.index(running), 1e3 * (time.perf_counter() - start))
                with self._writing:
                    if self._following is following:  # not ended meanwhile
                        self._active = choices[position]
        return results

    @torch.no_grad()
    def _predict(self, network: KeptNetwork, images: Any,
                 batch_size: int) -> List[Dict[str, Any]]:
        loaded = self._preprocessing.load(images)
        results = []
        for first in range(0, len(loaded), batch_size):
            batch = self._preprocessing.batch(loaded[first:first + batch_size])
            head: Any = network.head
            for sample in head.predict(network.features(batch)):
                scores = sample.pred_score.cpu().numpy()
                if not np.isfinite(scores).all():
                    raise InputError('the scores of the network are not '
                                     'finite: expected weights and images of '
                                     'ordinary size')
                label = int(scores.argmax())
                result = dict(
                    pred_scores=scores,
                    pred_label=label,
                    pred_score=float(scores[label]))
                if self.classes is not None:
                    result['pred_class'] = self.classes[label]
                results.append(result)
        return results

    def follow(self,
               latency_ms: Optional[float],
               images: Union[Image, Sequence[Image], None] = None,
               **options: Any) -> Optional[LatencyFollower]:
        """Switches between subnets by itself, to stay within a latency.

        First it measures how long each subnet takes now. From then on every
        :meth:`predict` is timed, and how much slower the recent ones were
        decides on the subnet for the next one, see :class:`.LatencyFollower`.
        Requests should be of similar size. :meth:`switch` ends it.

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
        check_number('latency_ms', latency_ms, above=0)
        check_keys(options, ('share', 'patience'), 'follow')
        if images is None:
            channels, height, width = self.input_shape
            images = np.zeros((height, width, channels), np.uint8)
        choices = tuple({
            running.kept.subnet: running
            for running in self._running.values()
        }.values())
        typical = self._typical_ms(choices, images)
        if min(typical) > latency_ms:
            fastest = choices[typical.index(min(typical))].kept
            raise InputError(f'latency_ms={latency_ms:g}: no subnet meets it; '
                             f'the nearest is {fastest.name!r}, which needs '
                             f'{min(typical):.3g} ms for such a request')
        follower = LatencyFollower(
            float(latency_ms), typical,
            [running.kept.held_out_accuracy for running in choices], **options)
        with self._writing:
            self._active = choices[follower.position]
            self._following = follower, choices
        return follower

    def _typical_ms(self,
                    choices: Sequence[_Running],
                    images: Any,
                    rounds: int = 5) -> List[float]:
        """The median latency of each subnet in milliseconds, measured in
        turns."""
        times: List[List[float]] = [[] for _ in choices]
        for i in range(rounds + 1):
            for running, found in zip(choices, times):
                start = time.perf_counter()
                self._predict(running.network, images, 1 << 30)
                if i:  # the first round is a warm-up
                    found.append(1e3 * (time.perf_counter() - start))
        return [float(np.median(found)) for found in times]
