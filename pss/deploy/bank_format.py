"""The files of a subnet bank.

A bank is a folder::

    bank.json               what is in it, for people and for programs
    weights.safetensors     the supernet's weights
    statistics.safetensors  batch-norm statistics of each kept subnet
    samples.safetensors     a few held-out images, to check exports on

It holds data only, and reading it runs no code: safetensors is a format for
tensors, JSON one for text, and :mod:`.vocabularies` lists everything that the
network and its preprocessing may contain. ``bank.json`` has a checksum of every
other file, and one of itself.
"""

import hashlib
from typing import Any

from ..errors import InputError

FORMAT = 'pss-bank'
VERSION = 1
INDEX = 'bank.json'
WEIGHTS, STATISTICS, SAMPLES = (f'{name}.safetensors'
                                for name in ('weights', 'statistics',
                                             'samples'))
FILES = WEIGHTS, STATISTICS, SAMPLES

# replaces the index's own checksum while that is computed
BLANK = 64 * '0'


def digest(content: bytes) -> str:
    """A file's checksum, sha256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def safetensors() -> Any:
    """The module ``safetensors.torch``, which only banks need.

    Raises:
        InputError: if it is not installed.
    """
    try:
        import safetensors.torch
    except ImportError:
        raise InputError(
            'banks need safetensors: pip install safetensors') from None
    return safetensors.torch
