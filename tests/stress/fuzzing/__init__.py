"""What tests/stress/fuzz.py feeds to the readers and the tools, and how."""

from .banks import Banks
from .cases import load_tools
from .fixtures import Fixtures
from .options import Options

# each with a name, a share of all inputs, and case(rng, place)
TARGETS = (Options, Banks)

__all__ = ['TARGETS', 'Fixtures', 'load_tools']
