"""Writing a bank's subnets as plain networks."""

import io
import json
import math
import re
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from ..checks import check_choice, check_text, shown
from ..errors import InputError, first_line
from ..files import FilePath, json_text
from ..models import SupernetClassifier
from ..outputs import check_out_folder
from ..registry import importing_nothing
from .bank import Bank, KeptSubnet
from .bank_networks import build_supernet
from .config_writing import write_config
from .export_files import (
    check_replaceable,
    check_targets,
    checkpoint_bytes,
    record_path,
    write_files,
)
from .extraction import extract, extracted_config
from .model_index import INDEX, check_index
from .network_difference import allowed_difference, largest_difference
from .onnx_export import check_onnx, onnx_bytes, onnx_session
from .preprocessing import Image, Preprocessing
from .vocabularies import Trust, check_testing, check_trust

Network = Callable[[Tensor], Tensor]
FORMATS = {'torch': '.pth', 'onnx': '.onnx', 'torchscript': '.pt'}
# How far logits may differ from the supernet's, see allowed_difference().
TOLERANCES = {'torch': 1e-5, 'onnx': 1e-4, 'torchscript': 1e-5}


class Exporter:
    """Writes subnets of a bank as plain networks, for PyTorch, ONNX Runtime or
    TorchScript, and compares each with the supernet.

    ::

        bank = read_bank('work_dirs/demo/bank')
        Exporter(bank).export(bank.kept[0], 'onnx', 'exported')

    Args:
        bank: the bank.
        images: real ones to compare on, in any form that
            :meth:`.Adaptive.predict` accepts; the bank's samples by
            default.
        trust: packages whose registered classes the bank may name, see
            :func:`.read_bank`; exported configs import them.

    Raises:
        InputError: if the bank's weights do not fit its model, there is no real
            image or one cannot be loaded, or the bank's ``testing`` holds
            anything that is not allowed there.
    """

    def __init__(
        self,
        bank: Bank,
        images: Optional[Sequence[Image]] = None,
        trust: Trust = ()) -> None:
        self.trust = check_trust(trust)
        check_testing(bank.testing, 'bank', trust)
        self.bank = bank
        self.model = build_supernet(bank, SupernetClassifier)
        self._stems = file_stems([kept.name for kept in bank.kept])
        self.images = comparison_images(bank, self.model, images)

    def export(self, kept: KeptSubnet, kind: str,
               folder: FilePath) -> Dict[str, Any]:
        """Writes one subnet in one format, and a JSON file beside it.

        The JSON file, such as ``NAME.onnx.json``, holds the subnet, its costs
        and accuracies, the classes, the preprocessing and the differences. For
        ``torch`` there is also the network's config, for mmpretrain. All of
        these files are written, or none.

        Args:
            kept: the subnet, of the bank.
            kind: ``torch``, ``onnx`` or ``torchscript``.
            folder: the target.

        Returns:
            What the JSON file holds.

        Raises:
            InputError: for another kind, if a package is missing, a file
                cannot be written, or the logits differ by more than
                ``TOLERANCES``; then nothing is written. It names the
                subnet.
        """
        check_choice('kind', kind, FORMATS)
        try:
            return self._export(kept, kind, Path(folder))
        except InputError as error:
            raise InputError(f'subnet {shown(kept.name)}: {error}') from None

    def _export(self, kept: KeptSubnet, kind: str,
                folder: Path) -> Dict[str, Any]:
        if kept not in self.bank.kept:
            raise InputError('expected a subnet of the bank')
        statistics = self.bank.statistics[kept.subnet]
        config = extracted_config(
            ConfigDict(self.bank.model), self.model, kept.subnet,
            self.bank.input_shape[1:])
        with importing_nothing():  # as when the supernet was built
            plain = extract(self.model, config, kept.subnet, statistics)
        stem = self._stems[self.bank.kept.index(kept)]
        out = folder / f'{stem}{FORMATS[kind]}'
        record = self._record(kept, out)
        make = {
            'torch': self._torch,
            'onnx': self._onnx,
            'torchscript': self._torchscript
        }[kind]
        content, network = make(plain, record)
        self.model.switch_to(kept.subnet, statistics)
        record['largest_difference'] = self._differences(
            network, plain, kind, out)
        try:
            text = json_text(record, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(
                f'{out}: its record cannot be written ({error})') from None
        files = {record_path(out): text.encode(), out: content}
        check_replaceable(out, [*files, out.with_suffix('.py')]
                          if kind == 'torch' else list(files))
        if kind == 'torch':
            write_config(config, out.with_suffix('.py'), self.bank.testing,
                         files, self.trust)
        else:
            write_files(files)
        return record

    def _differences(self, network: Network, plain: nn.Module, kind: str,
                     out: Path) -> Dict[str, float]:
        """The largest differences of a network's logits from the supernet's,
        on random and on real images.

        Raises:
            InputError: if one is beyond the format's tolerance.
        """
        found = {
            name: largest_difference(network, self.model, images)
            for name, images in self.images.items()
        }
        for name, images in self.images.items():
            most = allowed_difference(self.model, lambda: plain, images,
                                      TOLERANCES[kind], found[name])
            # NaN and infinity are within no tolerance
            if not found[name] <= most < math.inf:
                raise InputError(
                    f'{out}: not written: its logits differ by '
                    f'{found[name]:.2g} from the supernet\'s on {name} '
                    f'images; expected at most {most:.2g}')
        return found

    def _record(self, kept: KeptSubnet, out: Path) -> Dict[str, Any]:
        bank = self.bank
        return dict(
            file=out.name,
            name=kept.name,
            subnet=kept.subnet.as_dict(),
            costs=dict(kept.costs),
            resources=bank.resources,
            metric=bank.metric,
            held_out_accuracy=kept.held_out_accuracy,
            test_accuracy=kept.test_accuracy,
            input_shape=list(bank.input_shape),
            preprocessing=dict(
                pipeline=bank.pipeline,
                data_preprocessor=bank.model.get('data_preprocessor')),
            classes=None if bank.classes is None else list(bank.classes))

    def _torch(self, plain: nn.Module,
               record: Dict[str, Any]) -> Tuple[bytes, Network]:
        meta = dict(subnet=record['subnet'])
        if record['classes'] is not None:
            meta['dataset_meta'] = dict(classes=record['classes'])
        content = checkpoint_bytes(
            dict(meta=meta, state_dict=plain.state_dict()))
        plain.load_state_dict(
            torch.load(io.BytesIO(content), weights_only=True)['state_dict'])
        return content, plain

    def _torchscript(self, plain: nn.Module,
                     record: Dict[str, Any]) -> Tuple[bytes, Network]:
        buffer = io.BytesIO()
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')  # shapes that are constants here
            traced = torch.jit.trace(
                plain, self.images['random'], check_trace=False)
            torch.jit.save(
                traced,
                buffer,
                _extra_files={'record.json': json.dumps(record)})
            buffer.seek(0)
            return buffer.getvalue(), torch.jit.load(buffer)

    def _onnx(self, plain: nn.Module,
              record: Dict[str, Any]) -> Tuple[bytes, Network]:
        check_onnx('--format onnx')
        content = onnx_bytes(
            plain,
            self.images['random'], {'record': json.dumps(record)},
            dynamic_axes=dict(images={0: 'batch'}, logits={0: 'batch'}))
        session = onnx_session(content)
        return content, lambda images: torch.from_numpy(
            session.run(None, {'images': images.numpy()})[0])


def file_stems(names: Sequence[str]) -> List[str]:
    """The file names of subnets, without their endings.

    All of them differ, even on file systems that ignore case.
    """
    stems: List[str] = []
    taken = set()
    for name in names:
        plain = stem = re.sub(r'\W+', '_', name)
        number = 1
        while stem.casefold() in taken:
            number += 1
            stem = f'{plain}_{number}'
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def comparison_images(bank: Bank, model: SupernetClassifier,
                      images: Optional[Sequence[Image]]) -> Dict[str, Tensor]:
    """Images to compare networks on, preprocessed: ``random`` and ``real``.

    Args:
        bank: the bank.
        model: its supernet.
        images: real ones; the bank's samples by default.

    Raises:
        InputError: if there is no real image or one cannot be loaded.
    """
    preprocessing = Preprocessing(bank, model)
    loaded = list(bank.samples) if images is None \
        else load_images(preprocessing, images)
    if not loaded:
        raise InputError('the bank has no images to compare on; expected '
                         'some with --images')
    generator = torch.Generator().manual_seed(0)
    return dict(
        random=torch.randn(4, *bank.input_shape, generator=generator),
        real=preprocessing.batch(loaded))


def load_images(preprocessing: Preprocessing,
                images: Sequence[Image]) -> List[Tensor]:
    """Loads real images, one by one so that an error names the file."""
    loaded = []
    for i, image in enumerate(images):
        name = str(image) if isinstance(image, (str, Path)) else f'images[{i}]'
        try:
            loaded += preprocessing.load([image])
        except InputError as error:
            message = str(error)
            raise InputError(message if name in
                             message else f'{name}: {message}') from None
        except Exception as error:  # transforms raise anything
            raise InputError(f'{name}: cannot be preprocessed '
                             f'({first_line(error)})') from None
    return loaded


def check_export(folder: FilePath, bank: FilePath, kind: str) -> None:
    """Checks a folder before anything is exported to it.

    Args:
        folder: the target.
        bank: the folder of the bank.
        kind: the format.

    Raises:
        InputError: if it is not a folder, is the bank's or inside it, or holds
            an index of models that no export wrote.
    """
    check_out_folder(folder)
    check_targets([folder], [bank])
    folder = Path(folder)
    if kind == 'torch':
        check_text('--out', str(folder), 4096)
        check_index(folder / INDEX)
