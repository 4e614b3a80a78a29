import json
import shutil

import numpy as np
import pytest
import torch

from pss.engine.runner.choosing import levels_of
from pss.engine.runner.held_out_hits import run_hits
from pss.errors import InputError
from pss.registry import LOOPS, MODELS
from pss.sampling import (
    PrioritizedSampler,
    UniformSampler,
    place_limits,
    read_limits,
)
from pss.structures import Budget, CostTable, SearchSpace, Subnet, Width

from ...distributed import run_ranks
from ...searching import (
    HELD_OUT,
    final_accuracy,
    journal_rows,
    search_config,
    searched,
)

LIMITS = dict(flops=[0.07, 0.12, 0.3, 0.32, 0.8])


@pytest.fixture(scope='module')
def limited(searchable, tmp_path_factory):
    """A search for limits, and one for the levels of training, by name; each
    with its folder."""
    folder = tmp_path_factory.mktemp('limited')
    return dict(
        levels=(searchable.loop, searchable.work),
        limits=(searched(searchable, folder,
                         **{'test_cfg.search.budgets': LIMITS}), folder))


@pytest.fixture(params=['levels', 'limits'])
def found(limited, request):
    """Each of the two searches and its folder."""
    return limited[request.param]


def subnet_of(row):
    return Subnet.from_dict(row['subnet'])


def test_what_is_kept(found):
    """Oracle: brute force over the finalists, which are the subnets that the
    journal has final measurements of: for each budget, lowest first, all that
    cost no more and reached no less than what the budget below kept, and of
    these the first by what is expected."""
    loop, folder = found
    results, accuracy = loop.results, final_accuracy(folder)
    expected = {
        subnet_of(row): row['expected_top1']
        for row in results['evaluated']
    }
    cost = {subnet_of(row): row['mflops'] for row in results['evaluated']}
    space = loop.model.search_space
    assert {space.largest, space.smallest} <= set(accuracy)
    budgets = loop.limits(loop.sampler_hook.costs) or \
        loop.sampler_hook.sampler.budgets
    assert len(results['pools']) == len(budgets) >= 3
    least = 0.
    for budget, row in zip(budgets, results['pools']):
        assert (row['resource'], row['level']) == ('flops', budget.level)
        fitting = [
            s for s, reached in accuracy.items()
            if (cost[s] <= budget.level if budget.is_limit else cost[s] <
                budget.level + budget.step / 2) and reached >= least
        ]
        kept = subnet_of(row)
        assert kept in fitting
        assert expected[kept] == max(expected[s] for s in fitting)
        assert row['held_out_top1'] == pytest.approx(accuracy[kept])
        assert row['held_out_top1'] >= least
        least = row['held_out_top1'] - 1e-9
    assert len(accuracy) >= 5


def test_nothing_kept_is_dominated(found):
    """Oracle: with rising budgets neither accuracy falls, and the cost is never
    above the budget."""
    loop, _ = found
    rows = loop.results['pools']
    budgets = loop.limits(loop.sampler_hook.costs) or \
        loop.sampler_hook.sampler.budgets
    for field in ('level', 'held_out_top1', 'expected_top1'):
        values = [row[field] for row in rows]
        assert values == sorted(values)
    for row, budget in zip(rows, budgets):
        assert row['mflops'] < budget.high


def test_accuracies_of_what_is_kept(found):
    """Oracle: the loop's own evaluation of each, on the held-out and on the
    test images, with statistics of its own calibration; binomial standard
    errors by hand."""
    loop, _ = found
    rows = [
        loop.results['largest'], loop.results['smallest'],
        *loop.results['pools']
    ]
    statistics = loop.calibrate(list(dict.fromkeys(map(subnet_of, rows))))
    for field, loader, images in (('held_out_top1', loop.selection_dataloader,
                                   HELD_OUT), ('top1', loop.dataloader, 60)):
        metrics = loop.evaluate(statistics, loader, 'images', hooks=False)
        for row in rows:
            wanted = loop.metric_of(metrics[subnet_of(row)])
            assert row[field] == pytest.approx(wanted)
            # half an image right and half one wrong are added
            share = (wanted / 100 * images + 0.5) / (images + 1)
            error = 100 * np.sqrt(share * (1 - share) / images)
            assert row[f'{field}_se'] == pytest.approx(error)
    for subnet, values in statistics.items():
        for name, pair in values.items():
            assert all(map(torch.equal, loop.statistics[subnet][name], pair))


def test_all_that_was_evaluated(found):
    """Oracle: the subnets of the journal, each with the images that it was
    measured on, its cost by the table, and finite figures in range."""
    loop, folder = found
    images = {}
    for row in journal_rows(folder):
        subnet = subnet_of(row)
        end = row['first'] + row['images']
        images[subnet] = max(images.get(subnet, 0), end)
    rows = loop.results['evaluated']
    assert {subnet_of(row): row['images'] for row in rows} == images
    assert len(rows) == len(images) > 20
    space, cost = loop.model.search_space, loop.sampler_hook.costs['flops']
    for row in rows:
        assert row['mflops'] == cost(space.encode([subnet_of(row)]))[0]
        assert 0 <= row['held_out_top1'] <= 100
        for name in ('held_out_top1_se', 'expected_top1', 'expected_top1_se'):
            assert np.isfinite(row[name])


def test_scores_are_those_of_the_pools(limited):
    """Oracle: the pools that training left; a limit has no pool."""
    loop, _ = limited['levels']
    scores = {
        pool.budget.level: pool.scores
        for pool in loop.sampler_hook.sampler.pools
    }
    for row in loop.results['pools']:
        assert row.get('score') == scores[row['level']].get(subnet_of(row))
    loop, _ = limited['limits']
    assert not any('score' in row for row in loop.results['pools'])


def test_searching_twice_gives_the_same(searchable, limited, tmp_path):
    """Oracle: the results of the first search, and its journal."""
    loop, folder = limited['limits']
    torch.rand(7)  # other random states must not matter
    again = searched(searchable, tmp_path,
                     **{'test_cfg.search.budgets': LIMITS})
    assert json.dumps(again.results) == json.dumps(loop.results)
    assert (tmp_path / 'search.jsonl').read_bytes() == \
        (folder / 'search.jsonl').read_bytes()


@pytest.mark.parametrize('share', [0.2, 0.7])
def test_an_interrupted_search_goes_on(searchable, limited, tmp_path, share,
                                       monkeypatch):
    """Oracle: the results without interruption; the images that it runs are
    those whose lines were lost, one of them in its middle."""
    loop, folder = limited['limits']
    lines = (folder / 'search.jsonl').read_text().splitlines(keepends=True)
    kept = round(share * len(lines))
    (tmp_path / 'search.jsonl').write_text(''.join(lines[:kept]) +
                                           lines[kept][:40])
    ran = []
    monkeypatch.setattr(
        'pss.engine.runner.held_out_hits.run_hits', lambda *args:
        (ran.append(len(args[1]) * len(args[3])), run_hits(*args))[1])
    again = searched(searchable, tmp_path,
                     **{'test_cfg.search.budgets': LIMITS})
    assert again.results == loop.results
    assert sum(ran) == sum(json.loads(line)['images'] for line in lines[kept:])
    assert (tmp_path / 'search.jsonl').read_text() == ''.join(lines)


def _results_of_rank(rank, searchable, work_dir):
    loop = searched(searchable, work_dir, processes=2)
    statistics = {
        json.dumps(subnet.as_dict()): values
        for subnet, values in loop.statistics.items()
    }
    return json.dumps(loop.results), statistics


def test_processes_agree(searchable, tmp_path):
    """Oracle: each other, bit by bit: results and statistics."""
    one, two = run_ranks(2, tmp_path, _results_of_rank, searchable,
                         tmp_path / 'work')
    assert one[0] == two[0]
    assert len(json.loads(one[0])['pools']) == 3
    assert one[1].keys() == two[1].keys()
    for subnet, values in one[1].items():
        for name, pair in values.items():
            assert all(map(torch.equal, pair, two[1][subnet][name]))


def test_empty_pools(searchable, tmp_path):
    """Oracle: every level gets a subnet from the space alone. The same loop
    without a search has nothing to choose from."""
    checkpoint = torch.load(searchable.checkpoint, weights_only=True)
    for pool in checkpoint['pss_pools']:
        pool.update(subnets=[], newcomers=0)
    torch.save(checkpoint, tmp_path / 'empty.pth')
    empty = searchable._replace(checkpoint=tmp_path / 'empty.pth')
    loop = searched(empty, tmp_path / 'work')
    assert len(loop.results['pools']) == 3
    assert not any('score' in row for row in loop.results['pools'])
    with pytest.raises(InputError, match='no subnets in its pools'):
        searched(empty, tmp_path / 'work', **{'test_cfg.search': None})


@pytest.mark.parametrize('mutual', [False, True])
def test_baselines_choose_from_their_grid(searchable, tmp_path, mutual):
    """Oracle: the subnets of one multiplier, by the space itself."""
    resolutions = [10, 18, 28] if mutual else [28]
    changes = {
        'default_hooks.pss_sampler.sampler':
        dict(_delete_=True, type='pss.UniformSampler', mutual=mutual),
        'model.backbone.search_space.resolutions':
        resolutions,
        'test_cfg.search.budgets':
        dict(flops=dict(start=0.4, stop=0.9, step=0.25))
    }
    checkpoint = torch.load(searchable.checkpoint, weights_only=True)
    checkpoint['pss_pools'] = []
    torch.save(checkpoint, tmp_path / 'grid.pth')
    loop = searched(
        searchable._replace(checkpoint=tmp_path / 'grid.pth'),
        tmp_path / 'work', **changes)
    space = loop.model.search_space
    grid = {
        space.at(multiplier, resolution)
        for multiplier in np.linspace(*space.multipliers, 1001)
        for resolution in resolutions
    }
    evaluated = {subnet_of(row) for row in loop.results['evaluated']}
    assert len(evaluated) >= (8 if mutual else 5)
    assert evaluated <= grid
    assert len(loop.results['pools']) == 3


# levels_of


def two_costs():
    """A space of two subnets, which cost 10 and 1,000."""
    space = SearchSpace([Width.of(32)], [1])
    return CostTable(space, ((0, ), ), (np.array([[10, 1000]]), ))


def sampler_of(kind, cost, budgets=()):
    return kind(cost.space, dict(x=cost), budgets)


@pytest.mark.parametrize('kind', [PrioritizedSampler, UniformSampler])
@pytest.mark.parametrize('level, step, wanted', [(500, 50, 10), (10, 0.5, 10),
                                                 (999, 3, 10), (1000, 1, 1000),
                                                 (1001, 5, 1000),
                                                 (2000, 1, 1000)])
def test_a_limit_in_a_gap_gets_what_is_below(kind, level, step, wanted):
    """Oracle: the dearer of the two costs that is within the limit, however
    small the step."""
    cost = two_costs()
    budget = Budget('x', level, step, True)
    found, = levels_of([budget], sampler_of(kind, cost), dict(x=cost))
    assert found.budget == budget
    drawn = found.draw(np.random.default_rng(0), 20)
    assert {float(c) for c in cost(cost.space.encode(drawn))} == {wanted}


def test_levels_without_subnets():
    """Oracle: below the cheapest there is none: an error that names the range,
    or no level of a grid, which was not trained for it. As in training, a level
    that is no limit is not widened."""
    cost = two_costs()
    for budget in (Budget('x', 9, 1, True), Budget('x', 500, 100)):
        with pytest.raises(InputError, match='10 to 1000'):
            levels_of([budget], sampler_of(PrioritizedSampler, cost),
                      dict(x=cost))
        assert levels_of([budget], sampler_of(UniformSampler, cost),
                         dict(x=cost)) == []


def test_known_subnets_come_first_by_score(searchable):
    """Oracle: the members of all pools whose cost is in the level, by score;
    draws are in it too."""
    hook = searchable.loop.sampler_hook
    cost, space = hook.costs['flops'], hook.sampler.space
    scores = {}
    for pool in hook.sampler.pools:
        scores.update(pool.scores)
    budgets = [Budget('flops', 0.4, 0.3, True), *hook.sampler.budgets]
    levels = levels_of(budgets, hook.sampler, hook.costs)
    assert [level.budget for level in levels] == budgets
    for level in levels:
        budget = level.budget
        inside = [
            s for s, c in zip(scores, cost(space.encode(list(scores))))
            if budget.low <= c < budget.high
        ]
        assert list(level.known) == sorted(inside, key=lambda s: -scores[s])
        drawn = level.draw(np.random.default_rng(0), 50)
        values = cost(space.encode(drawn))
        assert ((values >= budget.low) & (values < budget.high)).all()
    assert len(levels[0].known) > 1


# what a search cannot do


@pytest.mark.parametrize('changes, words', [
    ({
        'test_cfg.search': 3
    }, 'test_cfg.search=3: expected None, or a dict'),
    ({
        'test_cfg.search.candidate': 3
    }, "test_cfg.search: unknown key 'candidate'.*'candidates'"),
    ({
        'test_cfg.search.candidates': None
    }, 'test_cfg.search.candidates=None: expected an integer'),
    ({
        'test_cfg.search.finalists': 9
    }, 'test_cfg.search.finalists=9: expected .* at most 8'),
    ({
        'test_cfg.search.finalists': 0
    }, 'test_cfg.search.finalists=0: expected .* at least 1'),
    ({
        'test_cfg.search.share': 0
    }, 'test_cfg.search.share=0: expected .* above 0'),
    ({
        'test_cfg.search.share': 1.5
    }, 'test_cfg.search.share=1.5: expected .* at most 1'),
    ({
        'test_cfg.search.budgets': {}
    }, r'test_cfg.search.budgets=\{\}: expected at least one resource'),
    ({
        'test_cfg.metric': 'precision'
    }, "test_cfg.metric='precision': .*top1.*test_cfg.search=None"),
    ({
        'test_cfg.selection_dataloader.dataset.every': 12
    }, 'test_cfg.selection_dataloader: 50 held-out images .*at least 100, or '
     'test_cfg.search=None'),
])
def test_what_stops_a_search(searchable, changes, words):
    """Oracle: the field, its value and what was expected, when the loop is
    built, so before anything is loaded or measured."""
    config = search_config(searchable.data, searchable.work, **changes)
    with pytest.raises(InputError, match=f'^{words}'):
        build_loop(searchable.loop.runner, config)


def build_loop(runner, config):
    """Builds the test loop of a config, with another's Runner."""
    return LOOPS.build(
        config.test_cfg,
        default_args=dict(
            runner=runner,
            dataloader=config.test_dataloader,
            evaluator=config.test_evaluator))


def test_several_labels_an_image(searchable):
    """Oracle: the head's type and the way out in the message."""
    model, runner = searchable.loop.model, searchable.loop.runner
    single, model.head = model.head, MODELS.build(
        dict(
            type='mmpretrain.MultiLabelLinearClsHead',
            num_classes=10,
            in_channels=16))
    config = search_config(searchable.data, searchable.work)
    try:
        with pytest.raises(
                InputError,
                match='^test_cfg.search: .*MultiLabelLinearClsHead has no one '
                'label.*test_cfg.search=None'):
            build_loop(runner, config)
        config.test_cfg.search = None
        build_loop(runner, config)
    finally:
        model.head = single


@pytest.mark.parametrize('limits, words', [
    (dict(flops=[0.01]), 'flops 0.01: .*0.050288 to 0.91352'),
    (dict(flops=[0.1, 3]), 'flops 3: .*0.050288 to 0.91352'),
    (dict(flops=dict(start=0.8, stop=1.2, step=0.1)), 'flops 1.1: .*0.91352'),
])
def test_limits_that_nothing_reaches(searchable, limits, words):
    """Oracle: the level, and the costs of the smallest and the largest
    subnet."""
    costs = searchable.loop.sampler_hook.costs
    with pytest.raises(InputError, match=f'^budgets: {words}'):
        place_limits(read_limits(limits, costs, 'budgets'), costs, 'budgets')


def test_a_damaged_journal(searchable, tmp_path):
    """Oracle: the file and its line in the message; it is left as it is."""
    shutil.copy(searchable.work / 'search.jsonl', tmp_path)
    path = tmp_path / 'search.jsonl'
    text = path.read_text().replace('"first": 0', '"first": "x"', 1)
    path.write_text(text)
    with pytest.raises(InputError, match=f'{path}: damaged in line 2'):
        searched(searchable, tmp_path)
    assert path.read_text() == text
