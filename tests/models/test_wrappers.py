import copy
import os

import torch
from torch import multiprocessing

from pss.engine import SandwichOptimWrapper
from pss.models import SupernetDistributedDataParallel
from pss.sampling import Pass

from ..conftest import batch

WORLD = 2


def wrapper_of(model):
    wrapper = SandwichOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.01))
    space = model.search_space
    wrapper.plan = (Pass('largest', space.largest),
                    Pass('sampled', space.decode([[1, 0, 0, 0, 1, 2, 3, 4,
                                                   5]])[0]),
                    Pass('smallest', space.smallest))
    return wrapper


def half_of(rank):
    data = batch(8)
    part = slice(rank * 4, rank * 4 + 4)
    return dict(inputs=data['inputs'][part],
                data_samples=data['data_samples'][part])


def worker(rank, model, folder):
    """One process: its half of the batch, one iteration."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT='29618')
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=WORLD)
    model = SupernetDistributedDataParallel(model, device_ids=[rank])
    reductions = []
    model.register_comm_hook(None, lambda state, bucket: (
        reductions.append(bucket.is_last()),
        torch.distributed.all_reduce(
            bucket.buffer().div_(WORLD), async_op=True).get_future().then(
                lambda f: f.value()[0]))[1])
    wrapper = wrapper_of(model.module)
    log = model.train_step(half_of(rank), wrapper)
    torch.save(dict(state=model.module.state_dict(), log=log,
                    reductions=sum(reductions)), folder / f'{rank}.pt')
    torch.distributed.destroy_process_group()


def test_two_processes_equal_one(supernet, tmp_path):
    """Oracle: one process with the whole batch, statistics of batch norms
    frozen. Gradients are reduced once, in the last of the three passes."""
    supernet.backbone.norm_eval = True
    supernet.train()
    multiprocessing.start_processes(
        worker, (copy.deepcopy(supernet), tmp_path), WORLD,
        start_method='fork')
    log = supernet.train_step(batch(8), wrapper_of(supernet))
    ranks = [torch.load(tmp_path / f'{rank}.pt') for rank in range(WORLD)]
    assert [r['reductions'] for r in ranks] == [1, 1]
    for name, value in supernet.state_dict().items():
        assert torch.equal(ranks[0]['state'][name], ranks[1]['state'][name])
        torch.testing.assert_close(ranks[0]['state'][name], value, atol=1e-5,
                                   rtol=1e-5)
    for name, value in log.items():
        mean = sum(r['log'][name] for r in ranks) / WORLD
        torch.testing.assert_close(mean, value, atol=1e-5, rtol=1e-5)
