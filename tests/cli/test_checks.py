from argparse import Namespace

import pytest

from pss.cli import check_integers, check_numbers, check_seed
from pss.errors import InputError


def test_values_in_range():
    """Oracle: the ends of each range; arguments that are not given pass."""
    args = Namespace(
        batch_size=1, rounds=9, level=None, time=0.5, seed=2**32 - 1)
    check_integers(args, batch_size=1, rounds=(1, 9), level=1)
    check_numbers(args, time=(0, 1), level=(0, None))
    check_seed(args)


@pytest.mark.parametrize('check, message', [
    (lambda args: check_integers(args, batch_size=1),
     '--batch-size=0: expected an integer of at least 1'),
    (lambda args: check_integers(args, rounds=(1, 9)),
     '--rounds=10: expected an integer of at least 1 and at most 9'),
    (lambda args: check_numbers(args, time=(0, 1)),
     '--time=1.0: expected a finite number above 0 and below 1'),
    (lambda args: check_numbers(args, level=(0, None)),
     '--level=nan: expected'),
    (check_seed, '--seed=-1: expected an integer of at least 0'),
])
def test_values_out_of_range(check, message):
    """Oracle: the option as typed, its value and the range, by hand."""
    args = Namespace(
        batch_size=0, rounds=10, level=float('nan'), time=1., seed=-1)
    with pytest.raises(InputError) as error:
        check(args)
    assert str(error.value).startswith(message)
