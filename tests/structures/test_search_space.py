import numpy as np
import pytest

from pss.errors import InputError
from pss.structures import SearchSpace, Subnet, Width, make_divisible

MBV2 = [32, 16, 24, 32, 64, 96, 160, 320]


def mbv2_space():
    return SearchSpace([Width.of(base) for base in MBV2],
                       list(range(128, 225, 8)))


def test_make_divisible_equals_mmpretrain():
    """Oracle: mmpretrain's own rounding, on 20,000 values."""
    from mmpretrain.models.utils import make_divisible as theirs

    from pss.models import SlimmableMobileNetV2  # noqa: F401 (torchvision)
    values = np.random.default_rng(0).uniform(1, 2048, 20_000)
    assert [make_divisible(v) for v in values] == \
        [theirs(v, 8) for v in values]


@pytest.mark.parametrize('base', [16, 24, 32, 64, 96, 160, 320, 512, 2048])
def test_prior_equals_rounded_uniform_multipliers(base):
    """Oracle: rounding a million evenly spaced multipliers one by one."""
    multipliers = np.linspace(0.75, 1, 100_001)
    channels = [make_divisible(base * m) for m in multipliers]
    values, counts = np.unique(channels, return_counts=True)
    width = Width.of(base)
    probable = [c for c, p in zip(width.choices, width.prior) if p > 1e-4]
    assert probable == [v for v, n in zip(values.tolist(), counts) if n > 9]
    found = dict(zip(values.tolist(), counts / counts.sum()))
    for choice, prior in zip(width.choices, width.prior):
        assert prior == pytest.approx(found.get(choice, 0), abs=2e-4)
    assert sum(width.prior) == pytest.approx(1)


def test_prior_by_hand():
    """Oracle: 32 * m is rounded to 24 below 24 / 0.9, else to 32."""
    width = Width.of(32)
    assert width.choices == (24, 32)
    assert width.prior[0] == pytest.approx((24 / 0.9 / 32 - 0.75) / 0.25)
    assert Width.of(16).choices == (16, )
    assert Width.of(24).choices == (24, )


def test_size_of_mbv2():
    """Oracle: the paper's count, 3,168 width choices times 13."""
    space = mbv2_space()
    assert space.size == 41_184
    codes = space.enumerate()
    assert len(np.unique(codes, axis=0)) == 41_184
    assert space.largest == Subnet(224, tuple(MBV2))
    assert space.smallest == Subnet(128, (24, 16, 24, 24, 48, 72, 120, 240))


def test_encode_inverts_decode():
    """Oracle: the identity, on random subnets."""
    space = mbv2_space()
    codes = space.random(np.random.default_rng(0), 500)
    subnets = space.decode(codes)
    assert np.array_equal(space.encode(subnets), codes)
    assert all(space.validate(subnet) is subnet for subnet in subnets)


@pytest.mark.parametrize('subnet, words', [
    (Subnet(224, (32, 16)), ['widths', '2 entries', '8 widths']),
    (Subnet(100, tuple(MBV2)), ['resolution=100', '128', '224']),
    (Subnet(224, (28, *MBV2[1:])), ['widths[0]=28', '[24, 32]']),
    (Subnet(224, (*MBV2[:7], 328)), ['widths[7]=328', '240', '320']),
])
def test_invalid_subnets_are_named(subnet, words):
    """Oracle: field, value and what was expected in the message."""
    with pytest.raises(InputError) as error:
        mbv2_space().validate(subnet)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize('resolutions', [[], [128, 128], [0], [128.5], [True]])
def test_bad_resolutions(resolutions):
    """Oracle: the field in the message."""
    with pytest.raises(InputError, match='resolutions'):
        SearchSpace([Width.of(32)], resolutions)


@pytest.mark.parametrize('multipliers', [(0.75, 1.), (0.35, 1.), (0.5, 0.9)])
def test_one_multiplier_for_all_widths(multipliers):
    """Oracle: rounding each width by itself, at 500 multipliers; the ladder has
    every choice of widths that 20,001 evenly spaced ones give, in order."""
    space = SearchSpace([Width.of(base, multipliers) for base in MBV2],
                        [224, 128], multipliers)

    def rounded(multiplier):
        return tuple(make_divisible(base * multiplier) for base in MBV2)

    for m in np.random.default_rng(0).uniform(*multipliers, 500):
        assert space.at(m, 128) == Subnet(128, rounded(m))
    assert space.at(multipliers[0], 128) == space.smallest
    assert space.at(multipliers[1], 224) == space.largest
    rungs = [space.at(m, 224).widths for m in space.ladder]
    assert len(set(rungs)) == len(rungs)
    grid = np.linspace(*multipliers, 20_001)
    expected = list(dict.fromkeys(map(rounded, grid)))
    assert [widths for widths in rungs if widths in expected] == rungs
    # the grid's ends may lie exactly where a rung has no width
    assert [w for w in expected[1:-1] if w not in rungs] == []


def test_one_multiplier_where_there_is_no_range():
    """Oracle: the only subnet."""
    space = SearchSpace([Width.of(64, (1., 1.))], [32], (1., 1.))
    assert space.at(1., 32) == Subnet(32, (64, ))
    assert [space.at(m, 32).widths for m in space.ladder] == [(64, )]
