"""Measuring blocks and subnets on a device."""

import contextlib
import copy
import io
import platform
from pathlib import Path
from typing import Any, Callable, Dict

import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from ..allocator import keep_freed_memory
from ..deploy.onnx_export import check_onnx, export_onnx
from ..errors import InputError
from ..models.classifiers.supernet_classifier import SupernetClassifier
from ..models.narrowing import narrow
from ..resources import BlockKey, Timing
from ..structures import Subnet
from ..supernet import blank

Run = Callable[[], Any]
DTYPES = {
    'float32': torch.float32,
    'float16': torch.float16,
    'bfloat16': torch.bfloat16
}


class Profiler:
    """Measures parts of a supernet on a device.

    Args:
        model: the supernet, in evaluation mode.
        device: ``cpu`` or ``cuda``.
        backend: ``torch``, or ``onnxruntime``.
        batch_size: images in a run.
        threads: how many threads of a CPU a run may use.
        dtype: ``float32``, ``float16`` or ``bfloat16``.
        min_run_time: seconds that a measurement takes at least.

    Raises:
        InputError: for a device, a backend or a type that is not available.
    """

    def __init__(self,
                 model: SupernetClassifier,
                 device: str = 'cpu',
                 backend: str = 'torch',
                 batch_size: int = 1,
                 threads: int = 1,
                 dtype: str = 'float32',
                 min_run_time: float = 0.1) -> None:
        if device == 'cuda' and not torch.cuda.is_available():
            raise InputError(
                "device='cuda': torch finds no GPU; expected 'cpu'")
        if backend == 'onnxruntime':
            _check_onnxruntime(device)
            if dtype != 'float32':
                raise InputError(f"dtype={dtype!r}: expected 'float32' with "
                                 "backend='onnxruntime'")
        self.model = model
        self.device = device
        self.backend = backend
        self.batch_size = batch_size
        self.threads = threads
        self.dtype = dtype
        self.min_run_time = min_run_time
        # single blocks would return it more often than a whole network does
        keep_freed_memory()
        self._rng = torch.Generator().manual_seed(0)

    @property
    def conditions(self) -> Dict[str, Any]:
        """The conditions that decide whether times can be compared; a table's
        header has them."""
        versions = dict(
            torch=torch.__version__, python=platform.python_version())
        if self.backend == 'onnxruntime':
            import onnxruntime
            versions['onnxruntime'] = onnxruntime.__version__
        name = torch.cuda.get_device_name() if self.device == 'cuda' \
            else _cpu_name()
        memory_format = str(self.model.memory_format).split('.')[-1]
        return dict(
            network=self.model.network,
            device=self.device,
            device_name=name,
            backend=self.backend,
            threads=self.threads,
            batch_size=self.batch_size,
            dtype=self.dtype,
            memory_format=memory_format,
            versions=versions)

    def block(self, key: BlockKey, position: int, subnet: Subnet) -> Run:
        """A block of plain layers, ready to run.

        Args:
            key: the block's sizes.
            position: in ``model.blocks()``.
            subnet: one that contains the block.
        """
        self.model.switch_to(subnet)
        block = nn.Sequential(
            copy.deepcopy(self.model.blocks()[position].module))
        size = () if key.block_type == 'Linear' else (key.in_size, ) * 2
        images = torch.randn(
            self.batch_size, key.cin, *size, generator=self._rng)
        narrow(block, images[:1])
        return self._ready(block, images)

    def subnet(self, subnet: Subnet) -> Run:
        """A whole subnet of plain layers, on images of its resolution."""
        model = copy.deepcopy(self.model)
        model.switch_to(subnet)
        images = blank(model, subnet.resolution)
        narrow(model, images)
        images = torch.randn(
            self.batch_size, *images.shape[1:], generator=self._rng)
        return self._ready(model, images)

    def measure(self, run: Run) -> Timing:
        """Measures how long a run takes, after a warm-up."""
        timer = Timer('run()', globals=dict(run=run), num_threads=self.threads)
        for _ in range(3):
            run()
        found = timer.blocked_autorange(min_run_time=self.min_run_time)
        return Timing(found.median * 1e6, found.iqr * 1e6,
                      len(found.times) * found.number_per_run)

    def _ready(self, module: nn.Module, images: Tensor) -> Run:
        module.eval()
        if self.backend == 'onnxruntime':
            return _onnxruntime_run(module, images, self.device, self.threads)
        dtype = DTYPES[self.dtype]
        memory_format = self.model.memory_format
        if images.dim() == 4:
            module = module.to(  # torch's stubs lack memory_format
                memory_format=memory_format)  # type: ignore[call-overload]
            images = images.contiguous(memory_format=memory_format)
        module = module.to(self.device, dtype)
        images = images.to(self.device, dtype)

        def run():
            with torch.inference_mode():
                return module(images)

        return run


def _onnxruntime_run(module: nn.Module, images: Tensor, device: str,
                     threads: int) -> Run:
    import onnxruntime
    file = io.BytesIO()
    export_onnx(module, images, file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        file.getvalue(), options, providers=[_PROVIDERS[device]])
    binding = session.io_binding()
    # on the device already, so that no copy is measured
    binding.bind_ortvalue_input(
        'images',
        onnxruntime.OrtValue.ortvalue_from_numpy(images.numpy(), device))
    binding.bind_output('logits', device)

    def run():
        session.run_with_iobinding(binding)
        return binding

    return run


_PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'}


def _check_onnxruntime(device: str) -> None:
    check_onnx("backend='onnxruntime'")
    import onnxruntime
    if _PROVIDERS[device] not in onnxruntime.get_available_providers():
        raise InputError(
            f"backend='onnxruntime', device={device!r}: expected a build with "
            f'{_PROVIDERS[device]}; this one has '
            f'{onnxruntime.get_available_providers()}')


def _cpu_name() -> str:
    """The processor's name, if the system has it."""
    with contextlib.suppress(OSError):
        for line in Path('/proc/cpuinfo').read_text('utf-8').splitlines():
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.processor() or platform.machine()
