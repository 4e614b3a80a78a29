"""A classifier in ONNX Runtime that switches between subnets."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, List, Optional, Sequence, Union

import numpy as np

from .adaptive import Adaptive
from .device_bank import KeptSubnet, read_device_bank
from .errors import InputError, integer
from .preprocessing import Preprocessing


class AdaptiveSession(Adaptive):
    """One classifier at many sizes, in ONNX Runtime.

    ::

        net = AdaptiveSession('device_bank')
        print(net.subnets)           # what each costs, and how accurate it is
        net.switch(flops=60)         # the most accurate within 60 MFLOPs
        net.predict('image.png')

    A subnet's session is opened when it is first switched to, and the last few
    stay open. A request ends with the subnet it began with. Any number of
    threads may predict and switch.

    Args:
        bank: the device bank's folder, see :mod:`~pss.runtime.device_bank`.
        keep: how many sessions stay open.
        threads: that a session computes with; as ONNX Runtime chooses by
            default.
        providers: ONNX Runtime's execution providers, best first.

    Attributes:
        subnets (SubnetTable): the kept subnets, smallest first.
        resources (dict[str, str]): the unit of every resource.
        classes (tuple[str] or None): names of the classes.

    Raises:
        InputError: for a device bank that cannot be read, see
            :func:`.read_device_bank`, or that ONNX Runtime cannot run.
    """

    def __init__(
        self,
        bank: Union[str, Path],
        keep: int = 4,
        threads: Optional[int] = None,
        providers: Sequence[str] = ('CPUExecutionProvider', )
    ) -> None:
        self.keep = integer('keep', keep)
        self.threads = 0 if threads is None else integer('threads', threads)
        self.providers = list(providers)
        self.bank = read_device_bank(bank)
        self.input_shape = self.bank.input_shape
        self._preprocessing = Preprocessing(
            self.bank.preprocessing,
            self.input_shape) if self.bank.task == 'classification' else None
        self._sessions: OrderedDict[str, Any] = OrderedDict()
        self._opening = threading.Lock()
        super().__init__(self.bank)

    def __repr__(self) -> str:
        return f'AdaptiveSession(active={self.active.name!r})\n{self.subnets!r}'

    def _open(self, kept: KeptSubnet) -> Any:
        with self._opening:
            session = self._sessions.pop(kept.file, None)
            if session is None:
                session = self._session(self.bank.folder / kept.file)
            self._sessions[kept.file] = session  # the last one used
            while len(self._sessions) > self.keep:
                # a request that still runs in it keeps it alive
                self._sessions.popitem(last=False)
        return session

    def _session(self, path: Path) -> Any:
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3  # errors
        try:
            return onnxruntime.InferenceSession(
                str(path), options, providers=self.providers)
        except Exception as error:  # it has its own types
            raise InputError(f'{path}: onnxruntime {onnxruntime.__version__} '
                             f'cannot run it ({error})') from None

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """Logits ``(N, classes)`` of the active subnet, or a detector's first
        feature map.

        Args:
            inputs: preprocessed images ``(N, C, H, W)``, float32; the network
                resizes them to its resolution.
        """
        return self.outputs(inputs)[0]

    def outputs(self, inputs: np.ndarray) -> List[np.ndarray]:
        """All outputs of the active subnet: of a detector's backbone, its
        feature maps ``(N, C, H, W)``.

        Args:
            inputs: see :meth:`logits`.
        """
        return self._active.network.run(None, {'images': inputs})

    def _load(self, images: Any) -> List[np.ndarray]:
        if self._preprocessing is None:
            raise InputError(f'{self.bank.folder}: task={self.bank.task!r}: '
                             'predict() expects classification; outputs() '
                             'gives the feature maps')
        return self._preprocessing.load(images)

    def _scores(self, network: Any, loaded: Sequence[np.ndarray]) -> np.ndarray:
        assert self._preprocessing is not None  # _load() refused it
        inputs = self._preprocessing.batch(loaded)
        logits = network.run(None, {'images': inputs})[0]
        if self.bank.scores == 'sigmoid':
            return 1 / (1 + np.exp(-logits))
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
