"""Training in several processes, through MMEngine's Runner."""

import hashlib
import json
import math
import uuid
from collections import Counter
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from pss.engine import PSSSamplerHook

from ..distributed import on_ranks

ADDITIVE = 'pss.AdditiveScore'


class Fingerprints(Hook):
    """The plan, a hash of the weights and of the pools, and the loss of this
    process, after every iteration."""

    priority = 'LOWEST'

    def __init__(self):
        self.taken = []

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None):
        weights = hashlib.sha256()
        for value in weights_of(runner).values():
            weights.update(value.numpy().tobytes())
        pools = json.dumps(sampler_of(runner).state_dict())
        self.taken.append((str(runner.optim_wrapper.plan), weights.hexdigest(),
                           hashlib.sha256(pools.encode()).hexdigest(),
                           hash_of(data_batch['inputs'])))


def hash_of(images):
    """A hash of a list of images, as a dataloader returns them."""
    return hashlib.sha256(b''.join(image.numpy().tobytes()
                                   for image in images)).hexdigest()


class Collectives(Hook):
    """Every collective of some iterations, by torch's profiler, including those
    that DDP starts from C++."""

    priority = 'VERY_LOW'

    def __init__(self, iterations):
        self.taken = []
        self.iterations = iterations
        self.profiler = None

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None):
        # from the end of an iteration to the end of the next
        if self.profiler is not None:
            self.profiler.stop()
            events = [
                event for event in self.profiler.events()
                if event.name.startswith('gloo:')
            ]
            self.taken.append(
                Counter(f'{event.name.removeprefix("gloo:")} '
                        f'{math.prod(*event.input_shapes)}'
                        for event in events))
        self.profiler = None
        if len(self.taken) < self.iterations:
            self.profiler = torch.profiler.profile(
                activities=[torch.profiler.ProfilerActivity.CPU],
                record_shapes=True)
            self.profiler.start()


def trained(config, *hooks):
    """A Runner that has trained."""
    config.experiment_name = uuid.uuid4().hex
    runner = Runner.from_cfg(config)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


def model_of(runner):
    return getattr(runner.model, 'module', runner.model)


def weights_of(runner):
    """Parameters by name, without a wrapper's prefix."""
    return {
        name: parameter.detach()
        for name, parameter in model_of(runner).named_parameters()
    }


def sampler_of(runner):
    return next(
        hook.sampler for hook in runner.hooks
        if isinstance(hook, PSSSamplerHook))


def fingerprints(rank, config):
    hook = Fingerprints()
    trained(config, hook)
    return hook.taken


def weights(rank, config):
    runner = trained(config)
    return dict(
        weights=weights_of(runner),
        plan=[[
            list(p['subnets'][0]['widths'])
            for p in sampler_of(runner).state_dict() if p['subnets']
        ]])


def collectives(rank, config):
    hook = Collectives(3)
    runner = trained(config, hook)
    model = model_of(runner)
    sizes = dict(
        gradient=sum(p.numel() for p in model.parameters()),
        floats=sum(b.numel() for b in model.buffers() if b.dim()),
        integers=sum(b.numel() for b in model.buffers() if not b.dim()),
        norms=len(model.norms))
    return [dict(c) for c in hook.taken], sizes


def resumed(rank, config):
    """Everything that a run leaves; it resumes from its checkpoint of epoch 1
    if there is one."""
    first = Path(config.work_dir) / 'epoch_1.pth'
    if first.is_file():
        config.resume, config.load_from = True, str(first)
    runner = trained(config)
    return dict(
        model=model_of(runner).state_dict(),
        optimizer=runner.optim_wrapper.state_dict()['state'],
        pools=sampler_of(runner).state_dict())


def test_four_ranks_agree_after_every_iteration(tiny_fashion_mnist, tmp_path):
    """Oracle: rank 0's plan, weights and pools, over 112 iterations in which
    every rank has data of its own. The additive score takes the losses of all
    passes, draws from what they come to, and the better of two subnets by the
    loss on all batches is trained."""
    changes = {
        'default_hooks.pss_sampler.sampler.score.type': ADDITIVE,
        'default_hooks.pss_sampler.sampler.best_of': 2
    }
    ranks = on_ranks(
        fingerprints, 4, tmp_path, tiny_fashion_mnist, epochs=8, **changes)
    assert len(ranks[0]) == 112
    for mine in ranks[1:]:
        assert [taken[:3]
                for taken in mine] == [taken[:3] for taken in ranks[0]]
    for data in zip(*ranks):  # of an iteration
        assert len({taken[3] for taken in data}) == 4
    # both weights and pools changed
    assert len({taken[1] for taken in ranks[0]}) > 100
    assert len({taken[2] for taken in ranks[0]}) > 100
    assert len({taken[0] for taken in ranks[0]}) > 10


@pytest.mark.parametrize('changes, tolerance', [({
    'model.type': 'pss.DoubleSupernet',
    'sync_bn': 'torch'
}, 1e-12), ({
    'model.backbone.norm_eval': True
}, 1e-5)])
def test_how_many_processes_does_not_matter(tiny_fashion_mnist, tmp_path,
                                            changes, tolerance):
    """Oracle: one process with the same global batches, over 7 iterations.

    In float64 with synchronised batch norms: training in float32 with batch
    statistics magnifies the rounding of sums, whose order differs. With frozen
    statistics float32 is enough.
    """
    one, two, four = (
        on_ranks(
            weights,
            n,
            tmp_path / str(n),
            tiny_fashion_mnist,
            global_batch=16,
            **changes) for n in (1, 2, 4))
    for ranks in (two, four):
        for mine in ranks:
            assert mine['plan'] == one[0]['plan']
            for name, value in one[0]['weights'].items():
                assert torch.equal(mine['weights'][name],
                                   ranks[0]['weights'][name])
                torch.testing.assert_close(
                    mine['weights'][name],
                    value,
                    atol=tolerance,
                    rtol=tolerance)


@pytest.mark.parametrize('sync_bn', [None, 'torch'])
def test_collectives_of_an_iteration(tiny_fashion_mnist, tmp_path, sync_bn):
    """Oracle: the list in docs/at_scale.md, every collective by its kind and
    the numbers that it carries: gradients once, the losses, a single number,
    the running statistics; synchronised norms twice in each of three passes."""
    ranks = on_ranks(
        collectives,
        2,
        tmp_path,
        tiny_fashion_mnist,
        global_batch=28,
        sync_bn=sync_bn)
    assert ranks[0] == ranks[1]
    for found, sizes in zip(ranks[0][0], [ranks[0][1]] * 3):
        # a single number: whether a process got SIGTERM; the losses of three
        # passes and two scores
        expected = {
            f'all_reduce {sizes["gradient"]}': 1,
            'all_reduce 1': 1,
            'all_reduce 5': 1,
            f'broadcast {sizes["floats"]}': 1,
            f'broadcast {sizes["integers"]}': 1
        }
        assert {k: found.pop(k) for k in expected} == expected
        kinds = Counter()
        for kind, count in found.items():
            kinds[kind.split()[0]] += count
        passes = 3 * sizes['norms'] if sync_bn else 0
        assert kinds == Counter(all_gather=passes, all_reduce=passes)


def test_four_processes_resume_exactly(tiny_fashion_mnist, tmp_path):
    """Oracle: the uninterrupted run, bit for bit; running statistics and
    momentum included."""
    changes = {
        'default_hooks.pss_sampler.sampler.score.type': ADDITIVE,
        'epochs': 2,
        'global_batch': 16,
        'default_hooks.checkpoint.interval': 1
    }
    whole, again = (
        on_ranks(
            resumed,
            4,
            tmp_path / name,
            tiny_fashion_mnist,
            **changes,
            work_dir=tmp_path / 'work') for name in ('whole', 'again'))
    for one, other in zip(again, whole):
        assert one.pop('pools') == other.pop('pools')
        torch.testing.assert_close(one, other, atol=0, rtol=0)
