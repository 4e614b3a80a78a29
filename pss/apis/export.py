"""Writing a bank's subnets as plain networks."""

import json
import os
import re
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

import torch
from mmengine.config import Config, ConfigDict
from torch import Tensor, nn

from ..deploy.adaptive_networks import build_supernet
from ..deploy.bank import Bank, KeptSubnet
from ..deploy.extraction import extract, extracted_config
from ..deploy.onnx_export import check_onnx, export_onnx
from ..deploy.preprocessing import Image, Preprocessing
from ..errors import InputError
from ..structures import write_json
from ..structures.subnet_file import read_json, write_text
from .checkpoint import read_checkpoint, save_checkpoint

FORMATS = {'torch': '.pth', 'onnx': '.onnx', 'torchscript': '.pt'}
# most that logits may differ from the supernet's; where the largest logit is
# above 1, times that, since the error of float32 grows with them
TOLERANCES = {'torch': 1e-5, 'onnx': 1e-4, 'torchscript': 1e-5}

FilePath = Union[str, Path]


def config_text(model: Dict[str, Any], testing: Optional[Dict[str, Any]] = None
                ) -> str:
    """The config file of an extracted network, for mmpretrain or mmdet.

    Args:
        model: its config.
        testing: configs of the ``dataloader`` and ``evaluator`` that a Runner
            tests it with.
    """
    config = dict(model=model)
    if testing:
        config.update(test_dataloader=testing['dataloader'],
                      test_evaluator=_plain_evaluator(testing['evaluator']),
                      test_cfg=dict())
    scope = 'mmdet' if 'mmdet.' in f'{model.get("detector")} ' \
        f'{model["type"]}' else 'mmpretrain'
    return "custom_imports = dict(imports=['pss'])\n" \
        f"default_scope = '{scope}'\n" + Config(config).pretty_text


def _plain_evaluator(evaluator: Any) -> Any:
    """An evaluator with mmpretrain's accuracy instead of ours."""
    if isinstance(evaluator, (list, tuple)):
        return [_plain_evaluator(item) for item in evaluator]
    if evaluator.get('type') == 'pss.SubnetAccuracy':
        return dict(type='Accuracy', topk=tuple(evaluator.get('topk', (1, ))))
    return evaluator


@torch.no_grad()
def largest_difference(one: Callable[[Tensor], Tensor],
                       other: Callable[[Tensor], Tensor],
                       images: Tensor) -> float:
    """Of the logits of two networks, on images ``(N, C, H, W)`` together and
    on the first one alone."""
    return max((one(batch) - other(batch)).abs().max().item()
               for batch in (images, images[:1]))


class Exporter:
    """Writes subnets of a bank and compares them with the supernet.

    Args:
        bank: the bank.
        images: real ones to compare on, see
            :meth:`.AdaptiveClassifier.predict`; the bank's samples by default.

    Raises:
        InputError: if the bank's weights do not fit its model, or there is no
            real image.
    """

    def __init__(self, bank: Bank,
                 images: Optional[Sequence[Image]] = None) -> None:
        self.bank = bank
        self.model = build_supernet(bank)
        preprocessing = Preprocessing(bank, self.model)
        loaded = list(bank.samples) if images is None \
            else preprocessing.load(images)
        if not loaded:
            raise InputError('the bank holds no images to compare on; --images '
                             'names some')
        generator = torch.Generator().manual_seed(0)
        self.images = dict(
            random=torch.randn(4, *bank.input_shape, generator=generator),
            real=preprocessing.batch(loaded))

    def export(self, kept: KeptSubnet, kind: str,
               folder: FilePath) -> Dict[str, Any]:
        """Writes one subnet, in one format.

        Beside it lies a JSON file, such as ``NAME.onnx.json``: the subnet, its
        costs and accuracies, the classes, the preprocessing, and the
        differences. For ``torch`` there is mmpretrain's config of the
        network, too.

        Args:
            kept: the subnet.
            kind: ``torch``, ``onnx`` or ``torchscript``.
            folder: where to.

        Returns:
            What the JSON file holds.

        Raises:
            InputError: if a package is missing, a file cannot be written, or
                the logits differ by more than :data:`TOLERANCES`; then nothing
                is written.
        """
        statistics = self.bank.statistics[kept.subnet]
        config = extracted_config(ConfigDict(self.bank.model), self.model,
                                  kept.subnet)
        plain = extract(self.model, config, kept.subnet, statistics)
        stem = re.sub(r'\W+', '_', kept.name)
        out = Path(folder) / f'{stem}{FORMATS[kind]}'
        record = self._record(kept, out)
        write = {'torch': self._write_torch, 'onnx': self._write_onnx,
                 'torchscript': self._write_torchscript}[kind]
        temporary = out.with_name(f'{stem}.{os.getpid()}.tmp{out.suffix}')
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            network = write(plain, record, temporary)
            self.model.switch_to(kept.subnet, statistics)
            record['largest_difference'] = found = {
                name: largest_difference(network, self.model, images)
                for name, images in self.images.items()}
            for name, images in self.images.items():
                legal = TOLERANCES[kind] * max(
                    1., self.model(images).abs().max().item())
                if not found[name] <= legal:
                    raise InputError(
                        f'{out}: not written: its logits differ by '
                        f'{found[name]:.2g} from the supernet\'s on {name} '
                        f'images; legal is at most {legal:.2g}')
            temporary.replace(out)
        except OSError as error:
            raise InputError(f'{out}: cannot be written '
                             f'({error.strerror or error})') from None
        finally:
            temporary.unlink(missing_ok=True)
        if kind == 'torch':
            write_text(config_text(config, self.bank.testing),
                       out.with_suffix('.py'))
        write_json(record, out.with_name(f'{out.name}.json'))
        return record

    def _record(self, kept: KeptSubnet, out: Path) -> Dict[str, Any]:
        bank = self.bank
        return dict(
            file=out.name, name=kept.name, subnet=kept.subnet.as_dict(),
            costs=dict(kept.costs), resources=bank.resources,
            metric=bank.metric, held_out_accuracy=kept.held_out_accuracy,
            test_accuracy=kept.test_accuracy,
            input_shape=list(bank.input_shape),
            preprocessing=dict(
                pipeline=bank.pipeline,
                data_preprocessor=bank.model.get('data_preprocessor')),
            classes=None if bank.classes is None else list(bank.classes))

    def _write_torch(self, plain: nn.Module, record: Dict[str, Any],
                     out: Path) -> Callable[[Tensor], Tensor]:
        meta = dict(subnet=record['subnet'])
        if record['classes'] is not None:
            meta['dataset_meta'] = dict(classes=record['classes'])
        save_checkpoint(dict(meta=meta, state_dict=plain.state_dict()), out)
        plain.load_state_dict(read_checkpoint(out)['state_dict'])
        return plain

    def _write_torchscript(self, plain: nn.Module, record: Dict[str, Any],
                           out: Path) -> Callable[[Tensor], Tensor]:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')  # shapes that are constants here
            traced = torch.jit.trace(plain, self.images['random'],
                                     check_trace=False)
            traced.save(str(out), _extra_files={
                'record.json': json.dumps(record)})
            return torch.jit.load(str(out))

    def _write_onnx(self, plain: nn.Module, record: Dict[str, Any],
                    out: Path) -> Callable[[Tensor], Tensor]:
        check_onnx('--format onnx')
        import onnx
        import onnxruntime
        export_onnx(plain, self.images['random'], str(out),
                    dynamic_axes=dict(images={0: 'batch'}, logits={0: 'batch'}))
        model = onnx.load(str(out))
        onnx.helper.set_model_props(model, {'record': json.dumps(record)})
        onnx.checker.check_model(model)
        onnx.save(model, str(out))
        session = onnxruntime.InferenceSession(
            str(out), providers=['CPUExecutionProvider'])
        return lambda images: torch.from_numpy(
            session.run(None, {'images': images.numpy()})[0])


def write_model_index(folder: FilePath) -> Path:
    """Writes the index by which mmpretrain knows a folder's ``torch`` exports.

    After ``mmpretrain.apis.ModelHub.register_model_index(INDEX)`` they go by
    their names, ``pss_flops_60`` for instance: ``inference_model(NAME,
    IMAGE)``.

    Returns:
        The index's path, ``model-index.yml``.
    """
    folder = Path(folder)
    models = []
    for path in sorted(folder.glob('*.pth.json')):
        record = read_json(path)
        stem = path.name[:-len('.pth.json')]
        models.append({
            'Name': f'pss_{stem}', 'In Collection': 'PSS-Net',
            'Config': f'{stem}.py', 'Weights': str(folder / record['file']),
            'Results': [{'Task': 'Image Classification', 'Dataset': None,
                         'Metrics': {record['metric']:
                                     record['test_accuracy']}}]})
    # YAML knows all of JSON
    write_json(dict(Collections=[dict(Name='PSS-Net')], Models=models),
               folder / 'model-index.yml')
    return folder / 'model-index.yml'


def parse_budget(words: List[str]) -> Dict[str, float]:
    """Limits from ``name=value`` words.

    Raises:
        InputError: for a word of another form, and two values for one name.
    """
    limits: Dict[str, float] = {}
    for word in words:
        name, _, value = word.partition('=')
        try:
            limit = float(value.replace('_', ''))
        except ValueError:
            raise InputError(f'--budget {word}: legal is NAME=NUMBER, such as '
                             'flops=60') from None
        if name in limits and limits[name] != limit:
            raise InputError(f'--budget: {name}={limits[name]:g} and '
                             f'{name}={limit:g} contradict each other')
        limits[name] = limit
    return limits

