import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pss.apis import load_config
from pss.engine import PSSSamplerHook
from pss.errors import DivergedError, InputError
from pss.registry import RESOURCES
from pss.structures import CostTable

from ...paths import ROOT
from ...training import shrink, simplify, train


def test_training_fills_pools_and_logs(tiny_config):
    """Oracle: SPEC: an iteration scores one subnet, for one pool."""
    runner = train(tiny_config)
    hook = next(h for h in runner.hooks if isinstance(h, PSSSamplerHook))
    pools = hook.sampler.pools
    assert len(pools) == 11
    assert 12 <= sum(map(len, pools)) <= 18  # 18 iterations, few repeats
    for pool in pools:
        for subnet, score in pool.scores.items():
            cost = hook.costs['flops'](hook.sampler.space.encode([subnet]))[0]
            assert pool.budget.low <= cost < pool.budget.high
            assert -20 < score < 0
    scalars = runner.message_hub.log_scalars
    for name in ('loss_largest', 'loss_sampled', 'loss_smallest', 'loss', 'p',
                 't', 'pool_fill'):
        values = scalars[f'train/{name}'].data[0]
        assert len(values) == 18
    assert scalars['train/p'].data[0][[0, 6, 12]] == pytest.approx(
        [1, 0.01**(1 / 3), 0.01**(2 / 3)])
    assert scalars['train/pool_fill'].data[0][0] == 0
    # one scheduler step an iteration: cosine to 0
    assert scalars['train/lr'].data[0][9] == pytest.approx(0.005, rel=0.02)
    log = next(Path(tiny_config.work_dir).glob('*/vis_data/scalars.json'))
    assert {'largest/top1', 'smallest/top1'} <= {
        key
        for line in log.read_text().splitlines()
        for key in json.loads(line)
    }


@pytest.mark.parametrize('score', ['pss.BatchScore', 'pss.AdditiveScore'])
def test_resumed_run_repeats_the_uninterrupted_one(tiny_config, score):
    """Oracle: the run that was not interrupted: weights, optimizer, pools
    and log, bit for bit. Loading is weights_only, as torch does by default."""
    tiny_config.default_hooks.pss_sampler.sampler.score = dict(type=score)
    whole = train(tiny_config)
    folder = Path(tiny_config.work_dir)
    uninterrupted = torch.load(folder / 'epoch_3.pth', weights_only=True)
    (folder / 'epoch_3.pth').unlink()
    resumed = train(
        tiny_config, resume=True, load_from=str(folder / 'epoch_2.pth'))
    again = torch.load(folder / 'epoch_3.pth', weights_only=True)
    assert again['pss_pools'] == uninterrupted['pss_pools']
    for name, value in uninterrupted['state_dict'].items():
        assert torch.equal(value, again['state_dict'][name]), name
    one, two = (c['optimizer']['state'] for c in (uninterrupted, again))
    assert all(
        torch.equal(one[k]['momentum_buffer'], two[k]['momentum_buffer'])
        for k in one)
    for name in ('loss', 'p', 'pool_fill', 'lr'):
        logs = [
            r.message_hub.log_scalars[f'train/{name}'].data[0]
            for r in (whole, resumed)
        ]
        assert logs[0].tolist() == logs[1].tolist()


def test_loading_weights_starts_with_empty_pools(tiny_config):
    """Oracle: the number of iterations of the second run."""
    train(tiny_config, train_cfg=dict(max_epochs=1))
    first = Path(tiny_config.work_dir) / 'epoch_1.pth'
    runner = train(
        tiny_config,
        load_from=str(first),
        work_dir=tiny_config.work_dir + '2',
        train_cfg=dict(max_epochs=1))
    hook = next(h for h in runner.hooks if isinstance(h, PSSSamplerHook))
    assert sum(map(len, hook.sampler.pools)) <= 6


def test_shrinking_begins_later(tiny_config):
    """Oracle: 12 of 18 iterations train three subnets, and the first six only
    the largest, whose loss is all that they have."""
    tiny_config.default_hooks.pss_sampler.sampler.shrink_from = 0.3
    runner = train(tiny_config)
    scalars = runner.message_hub.log_scalars
    counts = {
        name: len(scalars[f'train/loss_{name}'].data[0])
        for name in ('largest', 'sampled', 'smallest')
    }
    assert counts == dict(largest=18, sampled=12, smallest=12)
    total, largest = (
        scalars[f'train/{name}'].data[0] for name in ('loss', 'loss_largest'))
    assert total[:6].tolist() == largest[:6].tolist()
    assert (total[6:] > largest[6:]).all()
    hook = next(h for h in runner.hooks if isinstance(h, PSSSamplerHook))
    assert 8 <= sum(map(len, hook.sampler.pools)) <= 12


def test_an_additive_score_draws_from_whole_levels(tiny_config):
    """Oracle: it learnt from every iteration; with p near 0, draws are by the
    score, and of their level."""
    tiny_config.default_hooks.pss_sampler.sampler.update(
        score=dict(type='pss.AdditiveScore'), p=dict(start=1e-9))
    runner = train(tiny_config)
    hook = next(h for h in runner.hooks if isinstance(h, PSSSamplerHook))
    assert hook.sampler.score.model.observations == 18
    plan, pool = hook.sampler.plan(0, 18, 0.99)
    cost = hook.costs['flops'](hook.sampler.space.encode([plan[1].subnet]))
    assert pool.budget.low <= cost[0] < pool.budget.high


def test_a_loss_that_is_no_number_stops_the_run(tiny_config):
    """Oracle: the iteration counted by hand, and its subnet, in the message;
    the previous checkpoint is there and holds only numbers."""
    done = []

    def spoil(module, args):
        done.append(1)
        if len(done) == 3 * (6 + 4) + 2:  # the second pass after ten iterations
            return (args[0] * float('inf'), )

    from mmengine.runner import Runner
    tiny_config.val_cfg = tiny_config.val_dataloader = None
    tiny_config.val_evaluator = None
    tiny_config.experiment_name = 'diverged'
    runner = Runner.from_cfg(tiny_config)
    runner.model.backbone.conv1.register_forward_pre_hook(
        lambda module, args: spoil(module, args) if module.training else None)
    with pytest.raises(
            DivergedError,
            match='iteration 11: loss_sampled=nan '
            r'of Subnet\(resolution=') as error:
        runner.train()
    hook = next(h for h in runner.hooks if isinstance(h, PSSSamplerHook))
    plan, pool = hook.sampler.plan(0, 10, 1 / 3)
    assert str(plan[1].subnet) in str(error.value)
    assert sum(map(len, hook.sampler.pools)) <= 10
    assert plan[1].subnet not in pool.scores
    saved = torch.load(
        Path(tiny_config.work_dir) / 'epoch_1.pth', weights_only=True)
    assert all(v.isfinite().all() for v in saved['state_dict'].values())
    assert not (Path(tiny_config.work_dir) / 'epoch_2.pth').exists()


def test_a_skipped_iteration_records_no_score(tiny_config):
    """Oracle: the draws of the other iterations, by the sampler's own plan
    (no pool is full, so all come from the whole space)."""
    from mmengine.runner import Runner
    tiny_config.merge_from_dict(
        dict(
            optim_wrapper=dict(amp='bfloat16'),
            train_cfg=dict(max_epochs=1),
            val_cfg=None,
            val_dataloader=None,
            val_evaluator=None,
            experiment_name='skipped'))
    runner = Runner.from_cfg(tiny_config)

    def spoil(gradient):
        if runner.iter == 2:
            return gradient * float('inf')

    runner.model.head.fc.bias.register_hook(spoil)
    runner.train()
    sampler = next(h for h in runner.hooks
                   if isinstance(h, PSSSamplerHook)).sampler
    plans = {i: sampler.plan(0, i, 0.) for i in range(6) if i != 2}
    assert {(pool.budget, subnet)
            for pool in sampler.pools
            for subnet in pool.scores} == {(pool.budget, plan[1].subnet)
                                           for plan, pool in plans.values()}
    assert runner.message_hub.log_scalars['train/loss'].data[0].size == 6


@RESOURCES.register_module()
class Energy:
    """A user's own resource: energy by the number of channels."""

    unit = 'mJ'

    def __init__(self, per_channel: float = 1.) -> None:
        self.per_channel = per_channel

    def table(self, model):
        """What the subnets of a model cost."""
        space = model.search_space
        flat = np.ones((len(space.resolutions), 1))
        return CostTable.merge(
            space, (((i, ), self.per_channel * flat * np.array(width.choices))
                    for i, width in enumerate(space.widths)))


def test_pools_of_several_resources(tiny_config):
    """Oracle: each pool's subnets cost what its level says, by the resource's
    own rule; no pool gets a subnet that was drawn for another resource:
    together, the pools grow by one subnet per iteration."""
    hook = train(
        tiny_config, **{
            'default_hooks.pss_sampler.resources':
            dict(
                energy=dict(type='Energy', per_channel=0.5),
                size=dict(type='pss.Parameters'),
                memory=dict(type='pss.PeakMemory', batch_size=2)),
            'default_hooks.pss_sampler.budgets':
            dict(
                flops=dict(pools=3), energy=dict(pools=4), memory=dict(pools=2))
        }).hooks
    hook = next(h for h in hook if isinstance(h, PSSSamplerHook))
    pools = hook.sampler.pools
    assert [p.budget.resource for p in pools] == \
        ['flops'] * 3 + ['energy'] * 4 + ['memory'] * 2
    assert 12 <= sum(map(len, pools)) <= 18
    assert list(hook.costs) == ['flops', 'energy', 'size', 'memory']
    assert hook.units == {
        'flops': 'MFLOPs',
        'energy': 'mJ',
        'size': 'M parameters',
        'memory': 'MiB'
    }
    for pool in pools:
        for subnet in pool.scores:
            codes = hook.sampler.space.encode([subnet])
            cost = hook.costs[pool.budget.resource](codes)[0]
            if pool.budget.resource == 'energy':
                assert cost == 0.5 * sum(subnet.widths)
            assert pool.budget.low <= cost < pool.budget.high


def test_the_resource_is_chosen_in_proportion_to_its_pools(tiny_config):
    """Oracle: a binomial distribution with 3 of 8 pools."""
    runner = train(
        tiny_config,
        train_cfg=dict(max_epochs=1),
        **{
            'default_hooks.pss_sampler.resources':
            dict(energy=dict(type='Energy')),
            'default_hooks.pss_sampler.budgets':
            dict(_delete_=True, flops=dict(pools=5), energy=dict(pools=3))
        })
    sampler = next(h for h in runner.hooks
                   if isinstance(h, PSSSamplerHook)).sampler
    num = 4000
    energy = sum(
        sampler.plan(0, i, 0.)[1].budget.resource == 'energy'
        for i in range(num))
    assert abs(energy - num * 3 / 8) < 4 * (num * 3 / 8 * 5 / 8)**0.5


@pytest.mark.parametrize('resources, words', [
    (dict(flops=dict(type='pss.Flops')), 'always there'),
    (dict(mflops=dict(type='pss.Flops')), "'mflops' is taken"),
    ({
        'a b': dict(type='pss.Flops')
    }, "'a b'"),
    (dict(top1=dict(type='pss.Flops')), "'top1' is taken"),
    (dict(phone='table.json'), 'resources.phone='),
    (dict(phone=dict(table='x')), 'resources.phone='),
    (dict(phone=dict(type='pss.Latencies', table='x')),
     "'pss.Latencies' does not exist.*'pss.Latency'"),
    (dict(phone=dict(type='pss.Latency', tabel='x')), "'tabel'.*'table'"),
    (dict(phone=dict(type='Nothing')), "'Nothing' does not exist"),
    ([1], r'resources=\[1\]'),
])
def test_bad_resources(resources, words):
    """Oracle: name and value in the message."""
    with pytest.raises(InputError, match=words):
        PSSSamplerHook(BUDGETS, resources=resources)


BUDGETS = dict(flops=dict(start=9.5, stop=19.5, step=1))


@pytest.mark.parametrize('kwargs, words', [
    (dict(budgets=dict(flop=BUDGETS['flops'])), "'flop'.*'flops'"),
    (dict(budgets=BUDGETS,
          sampler=dict(pool_sise=10)), "sampler .*'pool_sise'.*'pool_size'"),
    (dict(budgets=BUDGETS, sampler=[]), r'sampler=\[\]: expected'),
    (dict(budgets=BUDGETS, sampler=False), 'sampler=False: expected'),
])
def test_bad_arguments(kwargs, words):
    """Oracle: field and value in the message."""
    with pytest.raises(InputError, match=words):
        PSSSamplerHook(**kwargs)


def test_unreachable_level_stops_before_training(tiny_config):
    """Oracle: the reachable range, 0.27 to 0.91, in the message."""
    with pytest.raises(InputError, match=r'level=40.*0\.27\d* to 0\.91'):
        train(
            tiny_config, **{
                'default_hooks.pss_sampler.budgets.flops':
                dict(_delete_=True, start=40, stop=50, step=10)
            })


def method_config(tiny_config, tiny_fashion_mnist, method):
    """The shipped config of a method, with a small network, on tiny data."""
    config = load_config(ROOT / 'configs' / f'{method}_mbv2_fashion_mnist.py')
    return simplify(shrink(config, tiny_fashion_mnist, tiny_config.work_dir))


@pytest.mark.parametrize('method', ['usnet', 'mutualnet', 'random'])
def test_methods_train_what_they_plan(tiny_config, tiny_fashion_mnist, method):
    """Oracle: the network is switched to what the sampler plans for each
    iteration when asked again; a second run with the same seed ends with the
    same weights, bit for bit, one with another seed does not."""
    config = method_config(tiny_config, tiny_fashion_mnist, method)
    trained = []

    def run(seed):
        from pss.models import SupernetClassifier
        seen, switch = [], SupernetClassifier.training_pass

        def note(model, inputs, data_samples, teacher):
            seen.append((model.active_subnet, teacher is None))
            return switch(model, inputs, data_samples, teacher)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SupernetClassifier, 'training_pass', note)
            runner = train(
                copy.deepcopy(config),
                randomness=dict(seed=seed),
                train_cfg=dict(max_epochs=1))
        trained.append(seen)
        return runner

    one, two, other = run(5), run(5), run(6)
    hook = next(h for h in one.hooks if isinstance(h, PSSSamplerHook))
    expected = []
    for i in range(6):
        passes, _ = hook.sampler.plan(5, i, 0.)
        expected += [(p.subnet, p.name == 'largest') for p in passes]
    assert trained[0] == trained[1] == expected != trained[2]
    assert len(expected) == 6 * (3 if method == 'random' else 4)
    weights = [r.model.state_dict() for r in (one, two, other)]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert any(not torch.equal(weights[0][k], weights[2][k])
               for k in weights[0])


def test_random_pools_never_steer(tiny_config, tiny_fashion_mnist):
    """Oracle: p = 1 in the log of every iteration; nothing is drawn from full
    pools: with one place each, every draw is from the space."""
    config = method_config(tiny_config, tiny_fashion_mnist, 'random')
    runner = train(config, **{'default_hooks.pss_sampler.sampler.pool_size': 1})
    hook = next(h for h in runner.hooks if isinstance(h, PSSSamplerHook))
    assert set(runner.message_hub.log_scalars['train/p'].data[0]) == {1.}
    for pool in hook.sampler.pools:
        pool.load({hook.sampler.space.smallest: 0.})
    drawn = [hook.sampler.plan(0, i, 0.99)[0][1].subnet for i in range(200)]
    assert hook.sampler.space.smallest not in drawn


def test_checkpoint_of_another_method(tiny_config, tiny_fashion_mnist):
    """Oracle: the number of pools in it and the sampler that needs them."""
    train(tiny_config, train_cfg=dict(max_epochs=1))
    config = method_config(tiny_config, tiny_fashion_mnist, 'mutualnet')
    checkpoint = str(Path(tiny_config.work_dir) / 'epoch_1.pth')
    with pytest.raises(InputError, match='11 pools.*pss.PrioritizedSampler'):
        train(config, load_from=checkpoint)
