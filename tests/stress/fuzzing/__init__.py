"""The inputs of tests/stress/fuzz.py, and how they are run."""

from .banks import Banks, Calls
from .cases import load_tools
from .configs import Configs
from .data import Data
from .files import Checkpoints, PoolLogs, Results, Subnets
from .fixtures import Fixtures
from .options import Good, Options
from .tables import Published, Tables

# each with a name, a share of all inputs, and case(rng, place)
TARGETS = (Good, Configs, Options, Banks, Calls, Tables, Published, Data,
           Results, Subnets, PoolLogs, Checkpoints)

__all__ = ['TARGETS', 'Fixtures', 'load_tools']
