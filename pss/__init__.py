"""PSS-Net on MMEngine: one supernet, the best subnet for every resource level.

Importing the package makes its registries known to MMEngine, so that
``custom_imports = dict(imports=['pss'])`` is all a config needs. The modules
behind the registries are imported when a config first asks for one of them.
"""

from . import bank_scheme, registry
from .torchvision_ops import import_torchvision
from .version import __version__

import_torchvision()  # before anything imports mmpretrain

__all__ = ['bank_scheme', 'registry', '__version__']
