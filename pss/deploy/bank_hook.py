"""The hook that writes a subnet bank after a test has chosen its subnets."""

import copy
import json
import logging
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import mmengine
import mmpretrain
import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from torch import Tensor

from ..checks import check_boolean, check_integer
from ..engine.runner import SubnetTestLoop
from ..errors import InputError
from ..models.classifiers.supernet_classifier import SupernetClassifier
from ..registry import HOOKS
from ..structures import Subnet, level_name
from ..version import __version__
from .bank import Bank, KeptSubnet, check_classes
from .bank_writing import check_target, write_bank
from .extraction import model_config
from .vocabularies import (
    Trust,
    check_testing,
    check_trust,
    check_types,
    is_detector,
)
from .vocabularies.stripping import (
    classifier_steps,
    detector_steps,
    kept_testing,
)


@HOOKS.register_module()
class BankHook(Hook):
    """Writes the subnets that :class:`.SubnetTestLoop` chose as a bank.

    ::

        runner.train()
            hook.after_train()      # runs the test loop, if there is one
                hook.after_test()   # writes the bank

    Args:
        out: the bank's folder; ``bank`` in the work directory by default.
        samples: how many held-out images the bank holds, to check exported
            networks on; 0 for none.
        after_training: whether to run the test, which writes the bank, at the
            end of training.
        strict: whether it is an error if no bank can be written, for instance
            because the config has a type that banks cannot have. Otherwise the
            log says so, before the work and after it.
        trust: packages whose registered classes the bank may name, besides
            those on the lists of :mod:`.vocabularies`. Readers of the bank have
            to trust them as well.

    Raises:
        InputError: for an argument of a wrong type, and for a package that
            cannot be imported.
    """

    priority = 'LOWEST'

    def __init__(self,
                 out: Optional[str] = None,
                 samples: int = 2,
                 after_training: bool = True,
                 strict: bool = False,
                 trust: Trust = ()) -> None:
        self.out = out
        self.samples = check_integer('samples', samples, 0)
        self.after_training = check_boolean('after_training', after_training)
        self.strict = check_boolean('strict', strict)
        self.trust = check_trust(trust)

    def before_train(self, runner) -> None:
        """Checks before the training that subnets can be chosen after it, and a
        bank written."""
        if self.after_training and runner.cfg.get('test_cfg'):
            loop = runner.test_loop  # what is wrong with it is said here
            if isinstance(loop, SubnetTestLoop):
                loop.limits(loop.sampler_hook.costs)
            self._allow(runner, self._check)
            self._allow(runner, _check_names)

    def before_test(self, runner) -> None:
        """Checks before a test that a bank can be written after it."""
        if isinstance(runner.test_loop, SubnetTestLoop):
            self._allow(runner, self._check)

    def after_train(self, runner) -> None:
        """Chooses and tests subnets; :meth:`after_test` writes the bank."""
        if not self.after_training:
            return
        if not isinstance(runner.test_loop, SubnetTestLoop):
            runner.logger.warning(
                'No bank is written: test_cfg is not a pss.SubnetTestLoop, '
                'which chooses its subnets')
            return
        loop = runner.test_loop
        if loop.search is None and not loop.sampler_hook.sampler.candidates(1):
            runner.logger.warning(
                'No bank is written: the sampler has no subnet to choose')
        else:
            loop.run()

    def after_test(self, runner) -> None:
        """Writes the bank."""
        if runner.rank == 0 and isinstance(runner.test_loop, SubnetTestLoop):
            self._allow(runner, self._write)

    def _allow(self, runner, step: Callable[[Any], None]) -> None:
        """Runs a step; unless strict, an error in it is only logged."""
        try:
            step(runner)
        except InputError as error:
            if self.strict:
                raise
            runner.logger.warning(f'No bank can be written: {error}')

    def _check(self, runner) -> None:
        check_target(self._folder(runner))
        check_types(
            kept_config(runner.cfg), _pipeline(runner.cfg), 'config',
            self.trust)

    def _write(self, runner) -> None:
        out = self._folder(runner)
        write_bank(
            bank_of(runner.test_loop, runner.cfg, self.samples, self.trust),
            out, self.trust)
        runner.logger.info(
            f'The bank of {len(runner.test_loop.results["pools"]) + 2} '
            f'subnets is in {out}')

    def _folder(self, runner) -> Path:
        return Path(self.out or Path(runner.work_dir, 'bank'))


def _check_names(runner) -> None:
    """Checks before a training that there are enough names of classes."""
    check_classes(
        runner.train_dataloader.dataset.metainfo.get('classes'),
        kept_config(runner.cfg), 'train_dataloader')


def bank_of(loop: SubnetTestLoop,
            config: Any,
            samples: int = 2,
            trust: Trust = ()) -> Bank:
    """The bank of the subnets that a test loop chose.

    Args:
        loop: the loop, after its run.
        config: the runner's.
        samples: how many held-out images the bank holds.
        trust: packages whose registered classes it may name.

    Raises:
        InputError: if the config holds more than JSON can, or the held-out
            images have several sizes.
    """
    assert loop.results is not None  # it has run
    # detectors take images of many sizes
    size = getattr(loop.model, 'input_size', None)
    held_out, tested = (
        loader.dataset
        for loader in (loop.selection_dataloader, loop.dataloader))
    images = sample_images(held_out, samples if size is None else 0)
    classes = getattr(tested, 'metainfo', {}).get('classes')
    if size is None:
        size = held_out[0]['inputs'].shape[-2:]
    return Bank(
        model=kept_config(config),
        classes=None if classes is None else tuple(classes),
        pipeline=_pipeline(config),
        input_shape=(loop.model.input_channels, *size),
        resources=loop.results['resources'],
        metric=loop.metric,
        kept=tuple(_kept(loop)),
        weights=weights_of(loop.model),
        statistics=loop.statistics,
        samples=images,
        testing=_testing(config, trust),
        versions=versions())


def _testing(config: Any, trust: Trust) -> Dict[str, Any]:
    """The config's own test, for exported networks; if a bank cannot hold it,
    this is empty and the log says why."""
    try:
        testing = kept_testing(
            _plain(config.test_dataloader), _plain(config.test_evaluator))
        check_testing(testing, 'config', trust)
    except InputError as error:
        print_log(
            'The bank does not say how exported networks are tested: '
            f'{error}', 'current', logging.WARNING)
        return {}
    return testing


def kept_config(config: Any) -> Dict[str, Any]:
    """A config's model as a bank keeps it, without what only training needs.

    Raises:
        InputError: if it holds more than JSON can.
    """
    model = _plain(model_config(config))
    model.pop('train_cfg', None)
    if isinstance(model.get('distillation'), dict):  # a classifier's
        del model['distillation']
    (model.get('data_preprocessor') or {}).pop('batch_augments', None)
    _strip(model)
    return model


def _strip(part: Any) -> None:
    """Removes, in place, how parts are initialised and the scopes of types."""
    if isinstance(part, dict):
        for key in ('init_cfg', 'pretrained', '_scope_'):
            part.pop(key, None)
    for item in part.values() if isinstance(part, dict) else \
            part if isinstance(part, list) else ():
        _strip(item)


def weights_of(model: SupernetClassifier) -> Dict[str, Tensor]:
    """A supernet's state dict without the buffers that batch-norm statistics
    replace."""
    buffers = {
        f'{name}.{buffer}'
        for name, norm in model.norms.items()
        for buffer, _ in norm.named_buffers(recurse=False)
    }
    return {
        key: value
        for key, value in model.state_dict().items() if key not in buffers
    }


def versions() -> Dict[str, str]:
    """Versions of the packages that a bank's contents depend on."""
    return {
        'pss-net': __version__,
        'torch': torch.__version__,
        'mmengine': mmengine.__version__,
        'mmpretrain': mmpretrain.__version__
    }


def sample_images(dataset: Any, num: int) -> Tensor:
    """Evenly spaced images of a dataset, ``(N, C, H, W)``.

    Raises:
        InputError: if they have several sizes.
    """
    num = min(num, len(dataset))
    images = [dataset[i * len(dataset) // num]['inputs'] for i in range(num)]
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) > 1:
        raise InputError(f'test_dataloader: the pipeline returns images of '
                         f'several sizes {sorted(shapes)}; expected one that '
                         'ends in a crop or a resize to one size')
    return torch.stack(images) if images else torch.zeros(
        (0, 0, 0, 0), dtype=torch.uint8)


def _pipeline(config: Any) -> List[Dict[str, Any]]:
    """The transforms of a config's test images, without what predictions do
    not need."""
    dataset = _plain(config.test_dataloader)['dataset']
    while 'pipeline' not in dataset:
        dataset = dataset['dataset']
    _strip(dataset)
    if is_detector(config.model):
        return detector_steps(dataset['pipeline'])
    return classifier_steps(dataset['pipeline'])


def _kept(loop: SubnetTestLoop) -> List[KeptSubnet]:
    """The smallest, the best of every pool, the largest."""
    results, costs = loop.results, loop.sampler_hook.costs
    assert results is not None  # it has run

    def kept(row: Dict[str, Any], end: Optional[str] = None) -> KeptSubnet:
        subnet = Subnet.from_dict(row['subnet'])
        codes = loop.model.search_space.encode([subnet])
        pool = {} if end else dict(
            resource=row['resource'], level=float(row['level']))
        return KeptSubnet(
            name=end or level_name(**pool),
            subnet=subnet,
            costs={
                name: float(cost(codes)[0])
                for name, cost in costs.items()
            },
            held_out_accuracy=row[f'held_out_{loop.metric}'],
            test_accuracy=row[loop.metric],
            standard_error=row.get(f'held_out_{loop.metric}_se'),
            **pool)

    return [
        kept(results['smallest'], 'smallest'),
        *(kept(row) for row in results['pools']),
        kept(results['largest'], 'largest')
    ]


def _plain(config: Any) -> Any:
    """A copy of a config as JSON holds it.

    Raises:
        InputError: if JSON cannot hold it.
    """
    config = copy.deepcopy(config)
    if hasattr(config, 'to_dict'):
        config = config.to_dict()
    try:
        return json.loads(json.dumps(config))
    except (TypeError, ValueError) as error:
        raise InputError(
            'the config cannot be kept in a bank: it holds more '
            f'than numbers, text, lists and dicts ({error})') from None
