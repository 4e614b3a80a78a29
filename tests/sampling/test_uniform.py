import numpy as np
import pytest

from pss.errors import InputError
from pss.resources import flops_table
from pss.sampling import UniformSampler
from pss.structures import Subnet, budgets_of, make_divisible

from ..paths import ROOT

BASES = [32, 16, 24, 32, 64, 96, 160, 320]
BUDGETS = budgets_of('flops', 80, 290, 10)


@pytest.fixture(scope='module')
def flops():
    """The cost tables of the shipped configs, by method."""
    from pss.apis import init_model
    return {
        method:
        flops_table(
            init_model(ROOT / 'configs' / f'{method}_mbv2_imagenet.py'))
        for method in ('usnet', 'mutualnet')
    }


def build(flops, method, budgets=BUDGETS):
    cost = flops[method]
    return UniformSampler(
        cost.space, {'flops': cost}, budgets, mutual=method == 'mutualnet')


def by_hand(multiplier, resolution):
    return Subnet(resolution,
                  tuple(make_divisible(base * multiplier) for base in BASES))


def ladder(lowest):
    """The widths of 200,000 evenly spaced multipliers, and how often each
    occurs."""
    found = {}
    for m in np.linspace(lowest, 1, 200_001)[1:-1]:
        widths = by_hand(m, 224).widths
        found[widths] = found.get(widths, 0) + 1 / 200_000
    return found


def chi_square(counts, expected):
    counts, expected = np.array(counts), np.array(expected)
    return ((counts - expected)**2 / expected).sum()


@pytest.mark.parametrize('method, lowest', [('usnet', 0.35),
                                            ('mutualnet', 0.75)])
def test_plan(flops, method, lowest):
    """Oracle: SPEC's definition: largest, two of one random multiplier each,
    smallest; the multipliers uniform (chi-square against rounding 200,000 of
    them); US-Net at 224, MutualNet at one of four each (chi-square)."""
    sampler = build(flops, method)
    plans = [sampler.plan(0, i, i / 3000) for i in range(3000)]
    assert all(pool is None for _, pool in plans)
    plans = [passes for passes, _ in plans]
    assert all(
        [p.name
         for p in passes] == ['largest', 'sampled_1', 'sampled_2', 'smallest']
        for passes in plans)
    columns = [[p.subnet for p in column] for column in zip(*plans)]
    assert set(columns[0]) == {by_hand(1., 224)}
    assert {s.widths for s in columns[3]} == {by_hand(lowest, 224).widths}

    probable = ladder(lowest)
    for column in columns[1:3]:
        widths = [s.widths for s in column]
        assert set(widths) <= set(probable)
        common = [w for w, p in probable.items() if p > 0.005]
        expected = [3000 * probable[w] for w in common]
        # 99.9 % of chi-square, by Wilson and Hilferty's approximation
        n = len(common)
        limit = n * (1 - 2 / 9 / n + 3.09 * (2 / 9 / n)**0.5)**3
        assert chi_square([widths.count(w) for w in common], expected) < limit
    # the two are drawn independently: equal as often as two draws are
    same = np.mean([a.widths == b.widths for a, b in zip(*columns[1:3])])
    assert same == pytest.approx(
        sum(p * p for p in probable.values()), abs=0.03)

    legal = [224] if method == 'usnet' else [128, 160, 192, 224]
    for column in columns[1:]:
        resolutions = [s.resolution for s in column]
        counts = [resolutions.count(r) for r in legal]
        assert sum(counts) == 3000
        assert chi_square(counts, [3000 / len(legal)] * len(legal)) < 16.3
    pairs = {(a.resolution, b.resolution, c.resolution)
             for _, a, b, c in zip(*columns)}
    assert len(pairs) == len(legal)**3


def test_plans_follow_from_seed_and_iteration(flops):
    """Oracle: equal for equal seeds, whatever was drawn before."""
    one, other = (build(flops, 'mutualnet') for _ in range(2))
    plans = [one.plan(3, i, 0.5) for i in range(20)]
    assert [other.plan(3, i, 0.) for i in reversed(range(20))] == plans[::-1]
    assert len({passes for passes, _ in plans}) == 20
    assert one.plan(4, 0, 0.5) != plans[0]


def test_candidates_of_usnet(flops):
    """Oracle: of 20,001 multipliers the widest whose cost is in the budget; a
    budget without one is left out."""
    sampler = build(flops, 'usnet')
    grid = list(
        dict.fromkeys(by_hand(m, 224) for m in np.linspace(0.35, 1, 20_001)))
    cost = dict(zip(grid, flops['usnet'](flops['usnet'].space.encode(grid))))
    found = sampler.candidates(5)
    for budget in BUDGETS:
        inside = [s for s in grid if budget.low <= cost[s] < budget.high]
        if inside:
            assert found[budget] == [(max(inside, key=cost.get), None)]
        else:
            assert budget not in found
    assert 0 < len(found) < len(BUDGETS)


def test_candidates_of_mutualnet(flops):
    """Oracle: every pair of 20,001 multipliers and 4 resolutions whose cost is
    in the budget, by brute force; the dearest comes first."""
    found = build(flops, 'mutualnet').candidates(5)
    grid = list(
        dict.fromkeys(
            by_hand(m, r) for m in np.linspace(0.75, 1, 20_001)
            for r in (128, 160, 192, 224)))
    costs = flops['mutualnet'](flops['mutualnet'].space.encode(grid))
    cost = dict(zip(grid, costs))
    for budget in BUDGETS:
        inside = {s for s in grid if budget.low <= cost[s] < budget.high}
        chosen = [s for s, score in found.get(budget, []) if score is None]
        assert set(chosen) == inside and len(chosen) == len(inside)
        assert chosen == sorted(chosen, key=lambda s: -cost[s])


def test_usnet_has_one_resolution(flops):
    """Oracle: the message names the field and the value."""
    cost = flops['mutualnet']
    with pytest.raises(InputError, match=r'resolutions=\[128, 160, 192, 224\]'):
        UniformSampler(cost.space, {'flops': cost}, BUDGETS)


def test_state(flops):
    """Oracle: there is none; pools of PSS-Net are refused."""
    sampler = build(flops, 'usnet')
    assert sampler.state_dict() == []
    sampler.load_state_dict([])
    with pytest.raises(InputError, match='22 pools'):
        sampler.load_state_dict([{}] * 22)
