"""Inference that switches between the subnets of a bank."""

import threading
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from tabulate import tabulate
from torch import Tensor

from ..checks import check_integer, check_keys, check_number
from ..deploy.bank import Bank, KeptSubnet, check_classes, read_bank
from ..deploy.bank_networks import build_supernet, kept_networks
from ..deploy.latency_follower import LatencyFollower
from ..deploy.preprocessing import Image, Preprocessing
from ..deploy.selection import check_limits, fits, most_accurate
from ..deploy.vocabulary import Trust
from ..errors import InputError
from ..models import KeptNetwork
from ..structures import Subnet


class _Running(NamedTuple):
    """What a request needs of a subnet; exchanged as a whole."""
    kept: KeptSubnet
    network: KeptNetwork


class SubnetTable(Tuple[KeptSubnet, ...]):
    """The kept subnets, smallest first; printed as a table."""

    units: Dict[str, str]
    metric: str

    @classmethod
    def of(cls, bank: Bank) -> 'SubnetTable':
        """The subnets of a bank."""
        table = cls(bank.kept)
        table.units, table.metric = bank.resources, bank.metric
        return table

    def __repr__(self) -> str:
        names = [
            f'{name} ({unit})' if unit else name
            for name, unit in self.units.items()
        ]
        rows = [[
            kept.name, kept.subnet.resolution,
            ' '.join(map(str, kept.subnet.widths)), *(f'{kept.costs[name]:.6g}'
                                                      for name in self.units),
            f'{kept.held_out_accuracy:.2f}',
            '' if kept.test_accuracy is None else f'{kept.test_accuracy:.2f}'
        ] for kept in self]
        align = ['left', 'right', 'left', *(len(names) + 2) * ['right']]
        return tabulate(
            rows,
            headers=[
                'subnet', 'resolution', 'widths', *names,
                f'held-out {self.metric}', f'test {self.metric}'
            ],
            disable_numparse=True,
            colalign=align)


class AdaptiveClassifier:
    """One network at many sizes, for a device whose resources vary.

    All subnets of the bank are ready to run over one set of weights, each with
    batch-norm statistics of its own. A switch exchanges one reference, so it
    takes microseconds, and a request that runs meanwhile ends with the subnet
    it began with. Any number of threads may predict and switch.

    Args:
        bank: the bank's folder, see :mod:`pss.deploy.bank`.
        device: where the networks go.
        copies_mb: most memory, in MB, for contiguous copies of weights with
            fewer input channels, see :class:`.SharedWeights`. MobileNetV2 with
            22 pools takes about 40. Beyond it subnets are as right, but
            slower.
        trust: packages whose registered classes the bank may name, see
            :func:`.read_bank`; without it reading a bank runs nothing that is
            in it.

    Attributes:
        subnets (SubnetTable): the kept subnets, smallest first.
        resources (dict[str, str]): the unit of every resource.
        classes (tuple[str] or None): names of the classes.

    Raises:
        InputError: for a bank that is not whole, see :func:`.read_bank`, and a
            device that is not there.
    """

    def __init__(self,
                 bank: Union[str, Path],
                 device: Union[str, torch.device] = 'cpu',
                 copies_mb: float = 512,
                 trust: Trust = ()) -> None:
        check_number('copies_mb', copies_mb, least=0)
        try:
            self.device = torch.device(device)
            torch.zeros(1, device=self.device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise InputError(f'device={str(device)!r}: '
                             f'{str(error).splitlines()[0]}') from None
        contents = read_bank(bank, trust)
        self.subnets = SubnetTable.of(contents)
        self.resources = contents.resources
        self.classes = contents.classes
        self.input_shape = contents.input_shape
        model = build_supernet(contents, self.device)
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
        # for those who switch; who predicts takes the active one, once
        self._writing = threading.Lock()
        self._active = self._running[self.select().name]

    @property
    def active(self) -> KeptSubnet:
        """The subnet that the next request runs; at first the most accurate.
        """
        return self._active.kept

    @property
    def network(self) -> KeptNetwork:
        """Its network: preprocessed images ``(N, C, H, W)`` to logits."""
        return self._active.network

    @property
    def copied_bytes(self) -> int:
        """Memory that contiguous copies of weights take, beyond the weights.
        """
        return self._weights.copied_bytes

    def __repr__(self) -> str:
        return (f'AdaptiveClassifier(active={self.active.name!r}, '
                f'device={str(self.device)!r})\n{self.subnets!r}')

    def select(self, **limits: float) -> KeptSubnet:
        """The most accurate subnet, on held-out images, that fits all limits.

        Args:
            **limits: most that it may cost, for any of the bank's resources
                and in their units: ``flops=150, latency_cpu=20_000``.

        Raises:
            InputError: if no subnet fits: it names the nearest and what that
                needs; for a limit that is unknown or not a number above 0.
        """
        return most_accurate(self.subnets, check_limits(limits, self.resources),
                             self.resources)

    def switch(self,
               subnet: Union[KeptSubnet, Subnet, str, None] = None,
               /,
               **limits: float) -> KeptSubnet:
        """Makes a subnet active: the one given, or that :meth:`select` gives.

        Following a latency ends with it.

        Args:
            subnet: an entry of :attr:`subnets`, its name, or its subnet.
            **limits: as for :meth:`select`.

        Raises:
            InputError: as :meth:`select`; for a subnet that is not in the
                bank, or that exceeds limits given beside it.
        """
        if subnet is None:
            kept = self.select(**limits)
        else:
            kept = self._find(subnet)
            if not fits(kept, check_limits(limits, self.resources)):
                raise InputError(f'{kept.name!r} contradicts the limits '
                                 f'{limits}: it needs {dict(kept.costs)}')
        with self._writing:
            self._following = None
            self._active = self._running[kept.name]
        return kept

    def _find(self, subnet: Union[KeptSubnet, Subnet, str]) -> KeptSubnet:
        for kept in self.subnets:
            if subnet in (kept, kept.name, kept.subnet):
                return kept
        raise InputError(f'{subnet!r} is not in the bank; expected one of '
                         f'{[kept.name for kept in self.subnets]}')

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        """Logits ``(N, classes)`` of the active subnet.

        Args:
            inputs: preprocessed images ``(N, C, H, W)`` on the network's
                device; resized to the subnet's resolution inside.
        """
        return self._active.network(inputs)

    def predict(self,
                images: Union[Image, Sequence[Image]],
                batch_size: int = 32) -> List[Dict[str, Any]]:
        """Labels and scores, as mmpretrain's inferencer gives them.

        All images are answered by the subnet that is active at the beginning.

        Args:
            images: one or a list of: a path; an array ``(H, W)`` or ``(H, W,
                C)``, channels BGR as OpenCV reads them; a tensor ``(C, H,
                W)``, likewise. Or a batch: an array ``(N, H, W, C)``, a tensor
                ``(N, C, H, W)``. Values 0 to 255.
            batch_size: images that run at once.

        Returns:
            For each image ``pred_scores`` (array of shape ``(classes, )``),
            ``pred_label``, ``pred_score``, and ``pred_class`` where the bank
            has names.

        Raises:
            InputError: for a file that is no image, and an image of another
                shape or type.
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
            for sample in network.head.predict(network.features(batch)):
                scores = sample.pred_score.cpu().numpy()
                if not np.isfinite(scores).all():
                    raise InputError('the network gives scores that are not '
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
        """Moves between subnets by itself to hold a latency.

        First it measures what each subnet takes now. From then on every
        :meth:`predict` is timed, and the subnet for the next one follows from
        how much slower the recent ones were, see :class:`.LatencyFollower`.
        Requests should be of similar size.

        Args:
            latency_ms: that :meth:`predict` should take; ``None`` ends the
                following.
            images: a typical request; one blank image by default.
            **options: of :class:`.LatencyFollower`: ``share``, ``margin``,
                ``patience``.

        Returns:
            What says which subnet is next, to look at.

        Raises:
            InputError: for a latency that is not a finite number above 0, or
                that no subnet holds even now: it names the fastest; for an
                option that is unknown or out of its range. What was followed
                before goes on.
        """
        if latency_ms is None:
            with self._writing:
                self._following = None
            return None
        check_number('latency_ms', latency_ms, above=0)
        check_keys(options, ('share', 'margin', 'patience'), 'follow')
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
            raise InputError(f'latency_ms={latency_ms:g}: no subnet holds it; '
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
        """The median latency of each subnet; they take turns."""
        times: List[List[float]] = [[] for _ in choices]
        for i in range(rounds + 1):
            for running, found in zip(choices, times):
                start = time.perf_counter()
                self._predict(running.network, images, 1 << 30)
                if i:  # the first warms up
                    found.append(1e3 * (time.perf_counter() - start))
        return [float(np.median(found)) for found in times]
