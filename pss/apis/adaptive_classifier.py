"""A classifier that switches between the subnets of a bank."""

from typing import Any, List, Sequence, Union

import numpy as np
import torch
from torch import Tensor

from ..checks import check_number
from ..deploy.bank import KeptSubnet, check_classes
from ..deploy.bank_networks import build_supernet, kept_networks
from ..deploy.bank_reading import read_bank
from ..deploy.preprocessing import Preprocessing
from ..deploy.vocabularies import Trust
from ..errors import InputError, first_line
from ..files import FilePath
from ..models import KeptNetwork, SupernetClassifier
from ..runtime import Adaptive


class AdaptiveClassifier(Adaptive):
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
        self.input_shape = contents.input_shape
        model = build_supernet(contents, SupernetClassifier, self.device)
        check_classes(contents.classes, contents.model, f'bank {bank}')
        networks, self._weights = kept_networks(contents, model,
                                                copies_mb * 1e6)
        self._networks = networks
        self._preprocessing = Preprocessing(contents, model)
        super().__init__(contents)

    @property
    def network(self) -> KeptNetwork:
        """The active network, which maps preprocessed images
        ``(N, C, H, W)`` to logits ``(N, classes)``."""
        return self._active.network

    @property
    def copied_bytes(self) -> int:
        """Bytes that contiguous copies of weights take beside the weights."""
        return self._weights.copied_bytes

    def __repr__(self) -> str:
        return (f'AdaptiveClassifier(active={self.active.name!r}, '
                f'device={str(self.device)!r})\n{self.subnets!r}')

    def _open(self, kept: KeptSubnet) -> KeptNetwork:
        return self._networks[kept.subnet]

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        """Logits ``(N, classes)`` of the active subnet.

        Args:
            inputs: preprocessed images ``(N, C, H, W)`` on the networks'
                device; the network resizes them to its resolution.
        """
        return self._active.network(inputs)

    def _load(self, images: Any) -> List[Tensor]:
        return self._preprocessing.load(images)

    @torch.no_grad()
    def _scores(self, network: KeptNetwork,
                loaded: Sequence[Any]) -> List[np.ndarray]:
        batch = self._preprocessing.batch(
            [torch.as_tensor(image) for image in loaded])
        head: Any = network.head
        return [
            sample.pred_score.cpu().numpy()
            for sample in head.predict(network.features(batch))
        ]
