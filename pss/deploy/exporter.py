"""Writing a bank's subnets as plain networks."""

import ast
import io
import json
import keyword
import math
import os
import re
import tempfile
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from torch import Tensor, nn

from ..checks import check_number, check_text, is_number, shown
from ..errors import InputError
from ..files import FilePath, json_text, read_json, whole_file
from ..outputs import check_out_folder
from ..registry import importing_nothing
from ..structures import Subnet
from .bank import Bank, KeptSubnet
from .bank_networks import build_supernet
from .extraction import extract, extracted_config
from .onnx_export import check_onnx, onnx_bytes, onnx_session
from .preprocessing import Image, Preprocessing
from .testing_vocabulary import check_testing
from .vocabulary import Trust, check_trust

FORMATS = {'torch': '.pth', 'onnx': '.onnx', 'torchscript': '.pt'}
# most that logits may differ from the supernet's; where the largest logit is
# above 1, times that, since the error of float32 grows with them
TOLERANCES = {'torch': 1e-5, 'onnx': 1e-4, 'torchscript': 1e-5}
INDEX = 'model-index.yml'
COLLECTION = 'PSS-Net'


def config_text(
    model: Dict[str, Any],
    testing: Optional[Dict[str, Any]] = None,
    packages: Sequence[str] = ()) -> str:
    """The config file of an extracted network, for mmpretrain or mmdet.

    Config files are programs, and MMEngine expands templates in them besides.
    This one holds data only: before anything reads it, it is checked to be
    that, and then that MMEngine reads what was meant.

    Args:
        model: its config.
        testing: configs of the ``dataloader`` and ``evaluator`` that a Runner
            tests it with.
        packages: to import besides this one, which register the model's
            classes.

    Raises:
        InputError: for what is no number, text, list, dict, boolean or None,
            and for texts and keys that a config cannot hold.
    """
    detector = 'mmdet.' in f'{model.get("detector")} {model["type"]}'
    given = dict(model=model)
    if testing:
        given.update(
            test_dataloader=testing['dataloader'],
            test_evaluator=_plain_evaluator(testing['evaluator']),
            test_cfg=dict())
    body = {key: _data(value, key) for key, value in given.items()}
    head = dict(
        custom_imports=dict(imports=['pss', *packages]),
        default_scope='mmdet' if detector else 'mmpretrain')
    text = ''.join(f'{key} = {value}\n'
                   for key, value in (('custom_imports',
                                       f'dict(imports={["pss", *packages]!r})'),
                                      ('default_scope',
                                       repr(head['default_scope']))))
    text += Config(body).pretty_text
    _check_text(text, {**head, **body})
    return text


def _data(value: Any, where: str) -> Any:
    """A copy of a part of a config, if it is data that a file can hold."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or not key.isascii() or \
                    not key.isidentifier() or keyword.iskeyword(key):
                raise InputError(f'{where}: key {shown(key)}: expected a name '
                                 'that Python takes for one')
        return {
            key: _data(item, f'{where}.{key}')
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        items = [_data(item, f'{where}[{i}]') for i, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if type(value) is str:
        if '{{' in value or '}}' in value:
            raise InputError(f'{where}={shown(value)}: expected a text without '
                             '{{ and }}, which MMEngine takes for a template')
    elif type(value) in (int, float):
        check_number(where, value)
    elif value is not None and type(value) is not bool:
        raise InputError(f'{where}={shown(value)}: expected numbers, text, '
                         'lists, dicts, booleans and None, found '
                         f'{type(value).__name__}')
    return value


def _check_text(text: str, meant: Dict[str, Any]) -> None:
    """Checks that the text of a config is data, and the data that was meant.

    Raises:
        InputError: if it is not; then it was not run.
    """
    try:
        found = _assigned(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError('the config of the network cannot be written: its '
                         f'text would be more than data ({error})') from None
    if _same(found, meant):
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, 'config.py')
                path.write_text(text, encoding='utf-8')
                found = Config.fromfile(path).to_dict()
        except OSError as error:
            raise InputError(f'{tempfile.gettempdir()}: cannot be written to '
                             f'({error.strerror or error})') from None
    if not _same(found, meant):
        raise InputError('the config of the network cannot be written: what '
                         'is read from its text differs from it')


def _assigned(module: ast.Module) -> Dict[str, Any]:
    """What a program assigns, if it only assigns data to names."""
    values: Dict[str, Any] = {}
    for node in module.body:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or \
                not isinstance(node.targets[0], ast.Name) or \
                node.targets[0].id in values:
            raise ValueError(f'line {node.lineno}')
        values[node.targets[0].id] = _value(node.value)
    return values


def _value(node: ast.expr) -> Any:
    """What an expression of literals and calls of ``dict`` stands for."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and \
            node.func.id == 'dict' and not node.args and \
            all(word.arg is not None for word in node.keywords):
        return {word.arg: _value(word.value) for word in node.keywords}
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    return ast.literal_eval(node)  # raises ValueError for anything else


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and so are the types of all parts."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and \
            all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


def _plain_evaluator(evaluator: Any) -> Any:
    """An evaluator with mmpretrain's accuracy instead of ours."""
    if isinstance(evaluator, (list, tuple)):
        return [_plain_evaluator(item) for item in evaluator]
    if evaluator.get('type') != 'pss.SubnetAccuracy':
        return evaluator
    # ours counts predictions whatever their score
    return dict(
        evaluator,
        type='Accuracy',
        thrs=None,
        topk=tuple(evaluator.get('topk', (1, ))))


def checkpoint_bytes(checkpoint: Dict[str, Any]) -> bytes:
    """The file of a checkpoint.

    Files that PyTorch writes itself are not whole when a disk is full, and
    TorchScript's end the process then.
    """
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getvalue()


def write_files(files: Mapping[Path, bytes]) -> None:
    """Writes all of several files, or none.

    Args:
        files: what they hold. The first gets its name last.

    Raises:
        InputError: if one cannot be written.
    """
    for path in files:
        if path.is_dir():
            raise InputError(f'{path}: cannot be written (a folder has that '
                             'name)')
    with ExitStack() as stack:
        for path, content in files.items():
            stack.enter_context(whole_file(path)).write_bytes(content)


def write_config(
    model: Dict[str, Any],
    path: FilePath,
    testing: Optional[Dict[str, Any]] = None,
    others: Optional[Mapping[Path, bytes]] = None,
    packages: Sequence[str] = ()
) -> None:
    """Writes the config file of an extracted network.

    Args:
        model, testing, packages: see :func:`config_text`.
        path: the file.
        others: files that are written with it, all or none.

    Raises:
        InputError: as :func:`config_text` and :func:`write_files`.
    """
    text = config_text(model, testing, packages)
    write_files({**(others or {}), Path(path): text.encode()})


def check_targets(targets: Iterable[FilePath],
                  inputs: Iterable[FilePath]) -> None:
    """Refuses to write over what is read.

    Args:
        targets: files or folders to write.
        inputs: those that are read; nothing may be written into a folder.

    Raises:
        InputError: it names the target.
    """
    read = {os.path.realpath(path) for path in inputs}
    for target in targets:
        path = Path(os.path.realpath(target))
        if any(str(part) in read for part in (path, *path.parents)):
            raise InputError(f'{target}: is read by the same command; expected '
                             'another name')


@torch.no_grad()
def largest_difference(one: Callable[[Tensor],
                                     Tensor], other: Callable[[Tensor], Tensor],
                       images: Tensor) -> float:
    """Of the logits of two networks, on images ``(N, C, H, W)`` together and
    on the first one alone; NaN if any difference is."""
    # Python's max() passes over a NaN that is not the first
    return torch.stack([(one(batch) - other(batch)).abs().max()
                        for batch in (images, images[:1])]).max().item()


class Exporter:
    """Writes subnets of a bank and compares them with the supernet.

    Args:
        bank: the bank.
        images: real ones to compare on, see
            :meth:`.AdaptiveClassifier.predict`; the bank's samples by default.
        trust: packages whose registered classes the bank may name, as for
            :func:`.read_bank`; exported configs import them.

    Raises:
        InputError: if the bank's weights do not fit its model, there is no
            real image or one cannot be loaded, or the bank says more about
            testing than it may.
    """

    def __init__(
        self,
        bank: Bank,
        images: Optional[Sequence[Image]] = None,
        trust: Trust = ()) -> None:
        self.trust = check_trust(trust)
        check_testing(bank.testing, 'bank', trust)
        self.bank = bank
        self.model = build_supernet(bank)
        self._stems = file_stems([kept.name for kept in bank.kept])
        preprocessing = Preprocessing(bank, self.model)
        loaded = list(bank.samples) if images is None \
            else _load(preprocessing, images)
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
        network, too. All of these are written or none.

        Args:
            kept: the subnet, of the bank.
            kind: ``torch``, ``onnx`` or ``torchscript``.
            folder: where to.

        Returns:
            What the JSON file holds.

        Raises:
            InputError: if a package is missing, a file cannot be written, or
                the logits differ by more than :data:`TOLERANCES`; then nothing
                is written. It names the subnet.
        """
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
            ConfigDict(self.bank.model), self.model, kept.subnet)
        with importing_nothing():  # as the supernet was built
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
        record['largest_difference'] = found = {
            name: largest_difference(network, self.model, images)
            for name, images in self.images.items()
        }
        for name, images in self.images.items():
            most = TOLERANCES[kind] * max(1.,
                                          self.model(images).abs().max().item())
            # NaN and infinity are not within any tolerance
            if not found[name] <= most < math.inf:
                raise InputError(
                    f'{out}: not written: its logits differ by '
                    f'{found[name]:.2g} from the supernet\'s on {name} '
                    f'images; expected at most {most:.2g}')
        try:
            text = json_text(record, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(
                f'{out}: its record cannot be written ({error})') from None
        files = {out.with_name(f'{out.name}.json'): text.encode(), out: content}
        _check_replaceable(out, [*files, out.with_suffix('.py')]
                           if kind == 'torch' else list(files))
        if kind == 'torch':
            write_config(config, out.with_suffix('.py'), self.bank.testing,
                         files, self.trust)
        else:
            write_files(files)
        return record

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

    def _torch(
            self, plain: nn.Module,
            record: Dict[str, Any]) -> Tuple[bytes, Callable[[Tensor], Tensor]]:
        meta = dict(subnet=record['subnet'])
        if record['classes'] is not None:
            meta['dataset_meta'] = dict(classes=record['classes'])
        content = checkpoint_bytes(
            dict(meta=meta, state_dict=plain.state_dict()))
        plain.load_state_dict(
            torch.load(io.BytesIO(content), weights_only=True)['state_dict'])
        return content, plain

    def _torchscript(
            self, plain: nn.Module,
            record: Dict[str, Any]) -> Tuple[bytes, Callable[[Tensor], Tensor]]:
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

    def _onnx(
            self, plain: nn.Module,
            record: Dict[str, Any]) -> Tuple[bytes, Callable[[Tensor], Tensor]]:
        check_onnx('--format onnx')
        content = onnx_bytes(
            plain,
            self.images['random'], {'record': json.dumps(record)},
            dynamic_axes=dict(images={0: 'batch'}, logits={0: 'batch'}))
        session = onnx_session(content)
        return content, lambda images: torch.from_numpy(
            session.run(None, {'images': images.numpy()})[0])


def file_stems(names: Sequence[str]) -> List[str]:
    """The names of files without their endings: one for each subnet's name,
    all different, also where capital letters make no difference."""
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


def _load(preprocessing: Preprocessing,
          images: Sequence[Image]) -> List[Tensor]:
    """Real images, each checked by itself so that an error names its file."""
    loaded = []
    for i, image in enumerate(images):
        name = str(image) if isinstance(image, (str, Path)) else f'images[{i}]'
        try:
            loaded += preprocessing.load([image])
        except InputError as error:
            message = str(error)
            raise InputError(message if name in
                             message else f'{name}: {message}') from None
        except Exception as error:  # whatever transforms raise
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f'{name}: cannot be preprocessed ({first})') from None
    return loaded


def check_export(folder: FilePath, bank: FilePath, kind: str) -> None:
    """Checks a folder before anything is exported to it.

    Args:
        folder: where to.
        bank: the folder of the bank.
        kind: the format.

    Raises:
        InputError: if it is no folder, is the bank's or inside it, or holds an
            index of models that is not ours.
    """
    check_out_folder(folder)
    check_targets([folder], [bank])
    folder = Path(folder)
    if kind == 'torch':
        check_text('--out', str(folder), 4096)
        _check_index(folder / INDEX)


def _check_replaceable(out: Path, targets: Sequence[Path]) -> None:
    """Refuses to write over files that no export wrote: those have a record.

    Raises:
        InputError: it names the file.
    """
    there = [path for path in targets if path.is_symlink() or path.is_file()]
    if not there:
        return
    try:
        record = read_json(out.with_name(f'{out.name}.json'))
    except InputError:
        record = None
    if not isinstance(record, dict) or record.get('file') != out.name or \
            'subnet' not in record:
        raise InputError(f'{there[0]}: is there already, and no export wrote '
                         'it; expected another --out')


def write_model_index(folder: FilePath) -> Path:
    """Writes the index by which mmpretrain knows a folder's ``torch`` exports.

    After ``mmpretrain.apis.ModelHub.register_model_index(INDEX)`` they go by
    their names, ``pss_flops_60`` for instance: ``inference_model(NAME,
    IMAGE)``. What lies in the folder and is no export of ours is left out;
    the log says what and why.

    Returns:
        The index's path, ``model-index.yml``.

    Raises:
        InputError: if there is one that is not ours, or it cannot be written.
    """
    folder = Path(folder)
    check_text('the folder of the index', str(folder), 4096)
    _check_index(folder / INDEX)
    models = []
    for path in sorted(folder.glob('*.pth.json')):
        try:
            models.append(_index_entry(path))
        except InputError as error:
            print_log(f'left out of {folder / INDEX}: {error}', 'current')
    # YAML knows all of JSON but characters in two escapes
    text = json_text(
        dict(Collections=[dict(Name=COLLECTION)], Models=models),
        ensure_ascii=False)
    write_files({folder / INDEX: text.encode()})
    return folder / INDEX


def _check_index(path: Path) -> None:
    """Refuses to write over an index of models that is not ours."""
    if not os.path.lexists(path):
        return
    try:
        value = read_json(path) if path.is_file() else None
    except InputError:
        value = None
    if not isinstance(value, dict) or \
            value.get('Collections') != [dict(Name=COLLECTION)]:
        raise InputError(f'{path}: not written by this command; expected none, '
                         'or one to replace')


def _index_entry(path: Path) -> Dict[str, Any]:
    """What the index says about an export.

    Args:
        path: of its record.

    Raises:
        InputError: if it is no record of ours, or its network is not there.
    """
    stem = path.name[:-len('.pth.json')]
    where = shown(path.name)
    if path.is_symlink() or not path.is_file() or not re.fullmatch(
            r'\w+', stem):
        raise InputError(f'{where}: expected the record of an export')
    try:
        record = read_json(path)
        if not isinstance(record, dict) or record.get('file') != f'{stem}.pth':
            raise InputError(f'expected the record of {stem}.pth')
        check_text('name', record.get('name'))
        metric = check_text('metric', record.get('metric'))
        accuracy = record.get('test_accuracy')
        if accuracy is not None and not is_number(accuracy):
            raise InputError(f'test_accuracy={shown(accuracy)}: expected a '
                             'finite number or null')
        Subnet.from_dict(record.get('subnet'))
    except InputError as error:
        raise InputError(f'{where}: {error}') from None
    for name in (f'{stem}.py', f'{stem}.pth'):
        if not path.with_name(name).is_file():
            raise InputError(f'{where}: {name} is missing beside it')
    return {
        'Name':
        f'pss_{stem}',
        'In Collection':
        COLLECTION,
        'Config':
        f'{stem}.py',
        'Weights':
        str(path.with_name(f'{stem}.pth')),
        'Results': [{
            'Task': 'Image Classification',
            'Dataset': None,
            'Metrics': {
                metric: accuracy
            }
        }]
    }


def parse_budget(words: List[str]) -> Dict[str, float]:
    """Limits from ``name=value`` words.

    Raises:
        InputError: for a word of another form, a value that is no finite
            number above 0, and two values for one name.
    """
    limits: Dict[str, float] = {}
    for word in words:
        name, _, value = word.partition('=')
        try:
            limit = float(value)  # 20_000 is a number, too
        except ValueError:
            limit = math.nan
        if not name.strip() or not name.isprintable() or \
                not 0 < limit < math.inf:
            raise InputError(f'--budget {shown(word)}: expected NAME=NUMBER, '
                             'the number finite and above 0, such as flops=60')
        if name in limits and limits[name] != limit:
            raise InputError(f'--budget: {name}={limits[name]:g} and '
                             f'{name}={limit:g} contradict each other')
        limits[name] = limit
    return limits
