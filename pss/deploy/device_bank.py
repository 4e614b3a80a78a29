"""Writing device banks: a bank's subnets for ONNX Runtime, weights once."""

import io
import math
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import check_choice
from ..errors import InputError, first_line
from ..files import FilePath
from ..models import SupernetClassifier, SupernetDetector
from ..models.detectors.scaling import Size, scale_images, scaled_size
from ..registry import importing_nothing
from ..runtime import read_device_bank
from ..runtime.device_bank import FORMAT, INDEX, VERSION
from ..structures import Subnet
from . import bank_folder
from .bank import Bank, KeptSubnet
from .bank_folder import index_text, write_folder
from .bank_networks import build_supernet
from .device_graphs import WEIGHTS, WeightsFile, share_weights
from .device_preprocessing import device_preprocessing
from .exporter import comparison_images, file_stems
from .extraction import extract, extracted_config
from .labelled_images import Labelled, labelled_images
from .network_difference import allowed_difference, as_one, largest_difference
from .onnx_export import check_onnx, export_onnx, onnx_session
from .onnx_folding import fold_norms
from .preprocessing import Image, Preprocessing
from .quantisation import quantise
from .vocabularies import Trust, check_testing, check_trust, is_detector
from .vocabularies.steps import class_name

# How far outputs may differ from the supernet's, see allowed_difference().
TOLERANCES = {'fp32': 1e-4, 'fp16': 0.05, 'int8': math.inf}
_SIGMOID = ('MultiLabelLinearClsHead', 'CSRAClsHead')


class Exported(NamedTuple):
    """A subnet of a device bank that was written.

    Attributes:
        kept: the subnet.
        size: of its graph, in bytes.
        random, real: the largest differences of its outputs from the
            supernet's, on random and on real images.
        before, after: the supernet's accuracy and its own on labelled images,
            in percent; ``None`` if there were none.
    """
    kept: KeptSubnet
    size: int
    random: float
    real: float
    before: Optional[float] = None
    after: Optional[float] = None


class DeviceExporter:
    """Writes all subnets of a bank as a device bank.

    ::

        bank = read_bank('work_dirs/demo/bank')
        DeviceExporter(bank).export('device_bank')

    Of a detector, the backbone is written: its outputs are the feature maps,
    for images of the bank's input shape.

    Args:
        bank: the bank.
        precision: ``fp32``; ``fp16``, which keeps weights in half as many
            bytes, and computes in float32 all the same; or ``int8``, which is
            quantised by ONNX Runtime.
        images: real ones to compare on, see :class:`.Exporter`; a detector's
            bank has none, and takes random ones instead.
        calibration: images that the ranges of int8's activations come from;
            ``images`` by default.
        trust: packages whose registered classes the bank may name, see
            :func:`.read_bank`.

    Raises:
        InputError: if the bank's weights do not fit its model, a step of its
            preprocessing is not possible on a device, there is no real image,
            or onnx or onnxruntime are missing.
    """

    def __init__(
        self,
        bank: Bank,
        precision: str = 'fp32',
        images: Optional[Sequence[Image]] = None,
        calibration: Optional[Sequence[Image]] = None,
        trust: Trust = ()) -> None:
        check_onnx('a device bank')
        self.precision = check_choice('precision', precision, TOLERANCES)
        self.bank = bank
        check_trust(trust)
        # labelled images are built from it
        check_testing(bank.testing, 'bank', trust)
        self.labelled: Optional[Labelled] = None
        self.network: _Network
        if is_detector(bank.model):
            if images is not None or calibration is not None:
                raise InputError('a backbone takes no images to compare on or '
                                 'to calibrate with')
            self.network = _Backbone(bank)
            self._preprocessing = dict(steps=bank.pipeline)
            self.images = dict.fromkeys(
                ('random', 'real'),
                torch.randn(
                    2,
                    *bank.input_shape,
                    generator=torch.Generator().manual_seed(0)))
        else:
            self.network = _Classifier(bank)
            self._preprocessing = device_preprocessing(bank)
            self.images = comparison_images(bank, self.network.model, images)
        self.calibration = self.images['real'] if calibration is None else \
            comparison_images(bank, self.network.model, calibration)['real']

    def label(self, num: int) -> None:
        """Has accuracies measured on so many of the bank's test images.

        Raises:
            InputError: if they cannot be had, see :func:`.labelled_images`.
        """
        if self.network.task != 'classification':
            raise InputError('a backbone has no accuracy')
        self.labelled = labelled_images(
            self.bank, Preprocessing(self.bank, self.network.model), num)

    def export(
        self,
        folder: FilePath,
        report: Callable[[Exported], Any] = lambda exported: None
    ) -> List[Exported]:
        """Writes the device bank, after every subnet has been compared.

        Args:
            folder: a new one, an empty one, or a device bank to replace.
            report: is called with each subnet once it has been compared.

        Returns:
            The subnets, smallest first.

        Raises:
            InputError: if the folder holds anything else, a file cannot be
                written, or the outputs of a subnet differ by more than
                ``TOLERANCES``; then nothing is written.
        """
        check_device_target(folder)
        names: Dict[Subnet, str] = {}
        stems = file_stems([kept.name for kept in self.bank.kept])
        for kept, stem in zip(self.bank.kept, stems):
            names.setdefault(kept.subnet, f'{stem}.onnx')
        largest = next(k for k in self.bank.kept if k.name == 'largest')
        weights = WeightsFile(
            {
                name: value.numpy()
                for name, value in self.network.plain(
                    largest.subnet).state_dict().items()
            }, self.precision == 'fp16')
        graphs = {
            name: self._graph(subnet, weights)
            for subnet, name in names.items()
        }
        files = {WEIGHTS: weights.content(), **graphs}
        files[INDEX] = index_text(self._index(names), files).encode()
        done: List[Exported] = []

        def compare(written: Path) -> None:
            for kept in read_device_bank(written).kept:
                ours = next(k for k in self.bank.kept if k.name == kept.name)
                done.append(self._compared(ours, written / kept.file))
                report(done[-1])

        write_folder(folder, files, compare)
        return done

    def _graph(self, subnet: Subnet, weights: WeightsFile) -> bytes:
        """The graph of a subnet."""
        folded = fold_norms(self._onnx(subnet))
        quantised = None
        if self.precision == 'int8':
            quantised = quantise(
                folded.model,
                [batch.numpy() for batch in self.calibration.split(16)])
        return share_weights(folded, weights, quantised)

    def _onnx(self, subnet: Subnet) -> Any:
        """The ONNX model of a subnet, whose batch norms are not folded."""
        import onnx
        buffer = io.BytesIO()
        plain = self.network.plain(subnet)
        with torch.no_grad():
            outputs = plain(self.images['random'])
        names = ['logits'] if isinstance(outputs, Tensor) else \
            [f'features_{i}' for i in range(len(outputs))]
        try:
            export_onnx(
                plain,
                self.images['random'],
                buffer,
                names,
                training=torch.onnx.TrainingMode.PRESERVE,
                dynamic_axes={
                    name: {
                        0: 'batch'
                    }
                    for name in ('images', *names)
                })
            return onnx.load_model_from_string(buffer.getvalue())
        except Exception as error:  # each package has its own types
            raise InputError(
                f'torch {torch.__version__} and onnx {onnx.__version__} cannot '
                f'write the network as ONNX ({first_line(error)})') from error

    def _compared(self, kept: KeptSubnet, path: Path) -> Exported:
        """A written subnet, after comparing it with the supernet.

        Raises:
            InputError: if it differs by more than is allowed.
        """
        session = onnx_session(str(path))

        def run(images: Tensor) -> Tensor:
            found = session.run(None, {'images': images.numpy()})
            return as_one([torch.from_numpy(output) for output in found])

        differences = {}
        for name, images in self.images.items():
            self.network.switch(kept)  # plain() may have switched
            found = largest_difference(
                run, lambda batch: as_one(self.network(batch)).flatten(1),
                images)
            most = allowed_difference(self.network,
                                      lambda: self.network.plain(kept.subnet),
                                      images, TOLERANCES[self.precision], found)
            # NaN is within no tolerance
            if not found <= most or math.isinf(found):
                raise InputError(
                    f'{path.name}: its outputs differ by {found:.2g} from the '
                    f'supernet\'s on {name} images; expected at most {most:.2g}'
                )
            differences[name] = found
        return Exported(
            kept,
            path.stat().st_size,
            **differences,
            before=self._accuracy(self.network),
            after=self._accuracy(run))

    def _accuracy(self, network: Callable[[Tensor], Tensor]) -> Optional[float]:
        """The accuracy of a network on the labelled images, in percent."""
        if self.labelled is None:
            return None
        with torch.no_grad():
            found = torch.cat(
                [network(batch).argmax(1) for batch in self.labelled.batches])
        return 100 * (found == self.labelled.labels).float().mean().item()

    def _index(self, names: Dict[Subnet, str]) -> Dict[str, Any]:
        """The fields of ``bank.json``."""
        bank = self.bank
        head = class_name(bank.model.get('head'))
        return dict(
            format=FORMAT,
            version=VERSION,
            written_by=bank.versions,
            task=self.network.task,
            precision=self.precision,
            scores='sigmoid' if head in _SIGMOID else 'softmax',
            resources=bank.resources,
            metric=bank.metric,
            classes=None if bank.classes is None else list(bank.classes),
            input_shape=list(bank.input_shape),
            preprocessing=self._preprocessing,
            subnets=[
                dict(
                    name=kept.name,
                    resource=kept.resource,
                    level=kept.level,
                    resolution=kept.subnet.resolution,
                    widths=list(kept.subnet.widths),
                    costs=dict(kept.costs),
                    held_out_accuracy=kept.held_out_accuracy,
                    standard_error=kept.standard_error,
                    test_accuracy=kept.test_accuracy,
                    file=names[kept.subnet]) for kept in bank.kept
            ])


def check_device_target(folder: FilePath) -> None:
    """Checks that a device bank can be written to a folder.

    Raises:
        InputError: if the folder holds anything but a device bank.
    """
    bank_folder.check_target(
        folder, FORMAT, lambda name: name in
        (INDEX, WEIGHTS) or name.endswith('.onnx'))


class _Network(nn.Module):
    """The network of a bank: what is exported of it, and of its subnets."""

    task: str

    def __init__(self, bank: Bank, kind: Any) -> None:
        super().__init__()
        self.bank = bank
        self.model = build_supernet(bank, kind)

    def switch(self, kept: KeptSubnet) -> None:
        """Switches the supernet."""
        self.model.switch_to(kept.subnet, self.bank.statistics[kept.subnet])

    def plain(self, subnet: Subnet) -> nn.Module:
        """A subnet's plain network."""
        config = extracted_config(
            ConfigDict(self.bank.model), self.model, subnet,
            self.bank.input_shape[1:])
        with importing_nothing():  # as when the supernet was built
            return extract(self.model, config, subnet,
                           self.bank.statistics[subnet])


class _Classifier(_Network):
    """A classifier: logits."""

    task = 'classification'

    def __init__(self, bank: Bank) -> None:
        super().__init__(bank, SupernetClassifier)

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)


class _Backbone(_Network):
    """A detector's backbone: its feature maps."""

    task = 'features'

    def __init__(self, bank: Bank) -> None:
        super().__init__(bank, SupernetDetector)

    def forward(self, images: Tensor) -> Any:
        return self.model.backbone(scale_images(images, self.model.scale))

    def plain(self, subnet: Subnet) -> nn.Module:
        detector: Any = super().plain(subnet)
        _, height, width = self.bank.input_shape
        return _Scaled(
            getattr(detector, 'detector', detector).backbone,
            scaled_size((height, width), getattr(detector, 'scale',
                                                 1.))).eval()


class _Scaled(nn.Module):
    """A plain backbone whose images have a fixed size.

    Exporters need the size; :func:`.scale_images` asks each image for it.
    """

    def __init__(self, backbone: nn.Module, size: Size) -> None:
        super().__init__()
        self.backbone = backbone
        self.size = size

    def forward(self, images: Tensor) -> Any:
        """Feature maps of images ``(N, C, H, W)``."""
        return self.backbone(
            F.interpolate(
                images, self.size, mode='bilinear', align_corners=False))
