import copy

import pytest
import torch
from mmengine.model import convert_sync_batchnorm
from torch import nn

from pss.engine import SandwichOptimWrapper
from pss.errors import DivergedError, InputError
from pss.models import SupernetDistributedDataParallel, calibrate
from pss.sampling import Pass

from ..conftest import batch
from ..distributed import DoubleSupernet, run_ranks

WORLD = 2


def wrapper_of(model):
    wrapper = SandwichOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01))
    space = model.search_space
    wrapper.plan = (Pass('largest', space.largest),
                    Pass('sampled',
                         space.decode([[1, 0, 0, 0, 1, 2, 3, 4, 5]])[0]),
                    Pass('smallest', space.smallest))
    return wrapper


def half_of(rank):
    data = batch(8)
    part = slice(rank * 4, rank * 4 + 4)
    return dict(
        inputs=data['inputs'][part], data_samples=data['data_samples'][part])


def one_iteration(rank, model):
    """One process: its half of the batch."""
    model = SupernetDistributedDataParallel(model, device_ids=[rank])
    reductions = []
    model.register_comm_hook(
        None, lambda state, bucket:
        (reductions.append(bucket.is_last()),
         torch.distributed.all_reduce(
             bucket.buffer().div_(WORLD), async_op=True).get_future().then(
                 lambda f: f.value()[0]))[1])
    log = model.train_step(half_of(rank), wrapper_of(model.module))
    return dict(
        state=model.module.state_dict(), log=log, reductions=sum(reductions))


def test_two_processes_equal_one(supernet, tmp_path):
    """Oracle: one process with the whole batch, statistics of batch norms
    frozen. Gradients are reduced once, in the last of the three passes."""
    supernet.backbone.norm_eval = True
    supernet.train()
    ranks = run_ranks(WORLD, tmp_path, one_iteration, copy.deepcopy(supernet))
    log = supernet.train_step(batch(8), wrapper_of(supernet))
    assert [r['reductions'] for r in ranks] == [1, 1]
    for name, value in supernet.state_dict().items():
        assert torch.equal(ranks[0]['state'][name], ranks[1]['state'][name])
        torch.testing.assert_close(
            ranks[0]['state'][name], value, atol=1e-5, rtol=1e-5)
    for name, value in log.items():
        mean = sum(r['log'][name] for r in ranks) / WORLD
        torch.testing.assert_close(mean, value, atol=1e-5, rtol=1e-5)


def wrapped(rank, model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.backbone.layer1.eval()
    states = torch.random.get_rng_state()
    modes = [m.training for m in model.modules()]
    SupernetDistributedDataParallel(model)
    return [
        all(torch.equal(v, before[k]) for k, v in model.state_dict().items()),
        all(p.grad is None for p in model.parameters()),
        modes == [m.training for m in model.modules()],
        torch.equal(states, torch.random.get_rng_state()),
        model.active_subnet == model.search_space.largest
    ]


def test_wrapping_leaves_the_supernet_as_it_was(supernet, tmp_path):
    """Oracle: weights, statistics, modes, random states before."""
    supernet.train()
    assert run_ranks(1, tmp_path, wrapped, supernet) == [[True] * 5]


def synchronised(rank, model):
    """What MMEngine's Runner does for ``sync_bn='torch'``; then one iteration,
    calibration, and a plain network of the smallest subnet."""
    torch.manual_seed(1)
    norms = dict(model.norms)
    converted = convert_sync_batchnorm(model, 'torch')
    assert any(type(m) is nn.SyncBatchNorm for m in converted.modules())
    ddp = SupernetDistributedDataParallel(converted)
    assert not any(type(m) is nn.SyncBatchNorm for m in model.modules())
    assert all(
        model.get_submodule(name) is norm and norm.sync
        for name, norm in norms.items())
    ddp.train_step(half_of(rank), wrapper_of(model))
    state = {k: v.clone() for k, v in model.state_dict().items()}
    images = batch(8, seed=1)['inputs'][rank * 4:rank * 4 + 4]
    smallest = model.search_space.smallest
    statistics = calibrate(model, [smallest], [images])[smallest]
    return dict(state=state, statistics=statistics)


def test_sync_bn_of_torch(supernet, tmp_path):
    """Oracle: one process with the whole batch, in float64: this deep a network
    magnifies rounding ten million times in an iteration. Calibrated statistics
    are the same too."""
    supernet.__class__ = DoubleSupernet
    supernet.double().train()
    ranks = run_ranks(WORLD, tmp_path, synchronised, copy.deepcopy(supernet))
    supernet.train_step(batch(8), wrapper_of(supernet))
    for name, value in supernet.state_dict().items():
        assert torch.equal(ranks[0]['state'][name], ranks[1]['state'][name])
        torch.testing.assert_close(
            ranks[0]['state'][name], value, atol=1e-6, rtol=1e-6)
    smallest = supernet.search_space.smallest
    statistics = calibrate(supernet, [smallest],
                           [batch(8, seed=1)['inputs']])[smallest]
    for name, pair in statistics.items():
        for i, value in enumerate(pair):
            mine = [rank['statistics'][name][i] for rank in ranks]
            assert torch.equal(*mine)
            torch.testing.assert_close(mine[0], value, atol=1e-6, rtol=1e-6)


def other_layers(rank, model):
    model.backbone.conv1.bn = nn.BatchNorm2d(32)
    with pytest.raises(InputError, match="BatchNorm2d.*sync_bn='torch'"):
        SupernetDistributedDataParallel(model)
    return 0


def test_other_synchronised_layers_are_refused(supernet, tmp_path):
    """Oracle: the layer and the expected value in the message."""
    run_ranks(1, tmp_path, other_layers, supernet)


def diverging(rank, model):
    """One process; only the second one's loss is not finite."""
    model = SupernetDistributedDataParallel(model, device_ids=[rank])
    data = half_of(rank)
    if rank == 1:
        data['inputs'][0] = float('inf')
    message = ''
    try:
        model.train_step(data, wrapper_of(model.module))
    except DivergedError as error:
        message = str(error)
    return dict(
        message=message,
        weights={
            name: p.detach()
            for name, p in model.module.named_parameters()
        })


def test_all_processes_stop_at_one_loss_that_is_not_finite(supernet, tmp_path):
    """Oracle: the same message from both, and the weights before; neither waits
    for the other."""
    supernet.backbone.norm_eval = True
    supernet.train()
    ranks = run_ranks(WORLD, tmp_path, diverging, copy.deepcopy(supernet))
    assert ranks[0]['message'] == ranks[1]['message']
    assert 'loss_largest=nan of Subnet(' in ranks[0]['message']
    for name, value in supernet.named_parameters():
        for rank in ranks:
            assert torch.equal(rank['weights'][name], value)
