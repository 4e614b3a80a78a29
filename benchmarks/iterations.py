"""Iterations of trainings, which benchmarks time and weigh.

They train on random images: a supernet as it is shipped, or, in loops written
by hand, its passes or plain networks.
"""

from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.nn import functional

from pss.apis import init_model, load_config
from pss.deploy import extract, extracted_config
from pss.deploy.extraction import model_config
from pss.engine import SandwichOptimWrapper
from pss.engine.precision import amp_type, grad_scaler, mixed_precision
from pss.models import SupernetClassifier
from pss.models.classifiers.distillation import KLDivergence
from pss.resources import flops_table
from pss.sampling import Pass, PrioritizedSampler
from pss.structures import budgets_of

NETWORKS = ('mbv2', 'mbv1', 'r50')


class Batch(NamedTuple):
    """Images ``(N, 3, H, W)`` and their labels, ``(N, )`` and as samples."""
    images: Tensor
    labels: Tensor
    samples: List[DataSample]


Iteration = Callable[[Batch], None]
Run = Callable[[Tensor], Tensor]


def path_of(network: str) -> str:
    """The config of a network, for ImageNet."""
    return f'configs/pss_{network}_imagenet.py'


def built(path: str,
          device: str = 'cpu',
          **changes: Any) -> Tuple[Config, SupernetClassifier]:
    """A config and its model, in training mode.

    Args:
        path: of the config.
        device: the model's.
        **changes: fields of the config's ``model``, nested ones as dicts.
    """
    config = load_config(path)
    config.model.merge(changes)
    model = init_model(config, device=device).train()
    assert isinstance(model, SupernetClassifier)
    return config, model


def random_batch(model: SupernetClassifier,
                 batch_size: int,
                 device: str = 'cpu') -> Batch:
    """Random images of the largest resolution, with labels below ten."""
    size = model.search_space.largest.resolution
    labels = torch.randint(10, (batch_size, ))
    return Batch(
        torch.randn(batch_size, 3, size, size,
                    device=device), labels.to(device),
        [DataSample().set_gt_label(int(label)) for label in labels])


def typical_plan(
        config: Config, model: SupernetClassifier
) -> Tuple[Tuple[Pass, ...], PrioritizedSampler]:
    """The passes of an iteration, with a subnet of the middle level, and the
    sampler that draws them."""
    space = model.search_space
    budgets = budgets_of('flops',
                         **config.default_hooks.pss_sampler.budgets['flops'])
    sampler = PrioritizedSampler(space, {'flops': flops_table(model)}, budgets)
    middle = len(sampler.pools) // 2
    sampled = sampler.fresh(budgets[middle], np.random.default_rng(0))[0]
    return (Pass('largest', space.largest), Pass('sampled', sampled),
            Pass('smallest', space.smallest)), sampler


def plain_networks(config: Config, model: SupernetClassifier,
                   plan: Sequence[Pass]) -> List[nn.Module]:
    """The plain network of each pass, in training mode, on the model's device.
    """
    device = next(model.parameters()).device
    networks = []
    for _, subnet, *_ in plan:
        plain = extracted_config(model_config(config), model, subnet)
        networks.append(extract(model, plain, subnet).to(device).train())
    return networks


def sgd(model: nn.Module) -> torch.optim.SGD:
    """One group for each parameter, as a weight-decay rule makes them."""
    return torch.optim.SGD([dict(params=[p]) for p in model.parameters()],
                           lr=1e-3,
                           momentum=0.9,
                           nesterov=True)


def shipped(model: nn.Module,
            plan: Sequence[Pass],
            amp: Optional[str] = None) -> Iteration:
    """An iteration as the project trains it.

    Args:
        model: the supernet, or a distributed wrapper around it.
        plan: its passes.
        amp: as for :class:`.SandwichOptimWrapper`.
    """
    wrapper = SandwichOptimWrapper(sgd(model), amp=amp)
    wrapper.plan = plan
    trained: Any = model

    def iteration(batch: Batch) -> None:
        # a list of its own: the preprocessor puts its samples there
        trained.train_step(
            dict(inputs=batch.images, data_samples=[*batch.samples]), wrapper)

    return iteration


def runs_of(model: SupernetClassifier,
            plan: Sequence[Pass],
            forwards: Optional[Sequence[Run]] = None) -> List[Run]:
    """A supernet's passes: each maps images to logits.

    Args:
        model: the supernet.
        plan: its passes.
        forwards: of each pass, what runs the supernet once it is switched; by
            default, the supernet itself.
    """

    def run_of(planned: Pass, forward: Run) -> Run:

        def run(images: Tensor) -> Tensor:
            model.switch_to(planned.subnet)
            return forward(images)

        return run

    own: Run = model.__call__
    return [
        run_of(planned, forward)
        for planned, forward in zip(plan, forwards or [own] * len(plan))
    ]


def together(runs: Sequence[Run],
             networks: Sequence[nn.Module],
             amp: Optional[str] = None) -> Iteration:
    """A loop written by hand: the first pass learns the labels, the others what
    the first gives; then there is one step.

    Args:
        runs: the passes.
        networks: those that the passes run; the first is what steps.
        amp: as for :func:`shipped`.
    """
    optimizer = sgd(networks[0])
    scaler = grad_scaler(amp == 'float16')
    divergence = KLDivergence()

    def iteration(batch: Batch) -> None:
        inputs = _preprocessed(networks[0], batch)
        teacher: Optional[Tensor] = None
        for run in runs:
            with mixed_precision(amp_type(amp)):
                logits = run(inputs)
                task = functional.cross_entropy(
                    logits if teacher is None else logits.detach(),
                    batch.labels)
                loss = task if teacher is None else \
                    divergence(teacher, logits, False)
            teacher = logits.detach() if teacher is None else teacher
            scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        for network in networks:
            network.zero_grad()

    return iteration


def apart(networks: Sequence[nn.Module],
          amp: Optional[str] = None) -> Iteration:
    """A step of each of some plain networks, which are trained separately.

    Args:
        networks: what is trained.
        amp: as for :func:`shipped`.
    """
    trained = [(network, sgd(network), grad_scaler(amp == 'float16'))
               for network in networks]

    def iteration(batch: Batch) -> None:
        for network, optimizer, scaler in trained:
            inputs = _preprocessed(network, batch)
            with mixed_precision(amp_type(amp)):
                loss = functional.cross_entropy(network(inputs), batch.labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()

    return iteration


def _preprocessed(network: Any, batch: Batch) -> Tensor:
    """The images as a network's data preprocessor leaves them."""
    return network.data_preprocessor(dict(inputs=batch.images), True)['inputs']
