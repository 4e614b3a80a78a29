"""PSS-Net on MMEngine: one supernet, the best subnet for every resource level.

Importing the package registers its registries with MMEngine, so that
``custom_imports = dict(imports=['pss'])`` is all a config needs. The modules
that fill them are imported when a config first uses one of their types.
"""

from mmengine.config.utils import MODULE2PACKAGE

from . import bank_scheme, registry
from .torchvision_ops import import_torchvision
from .version import __version__

import_torchvision()  # before anything imports mmpretrain
# for `_base_ = 'pss::_base_/models/pss_mbv2.py'` in any project's config
MODULE2PACKAGE['pss'] = 'pss-net'

__all__ = ['bank_scheme', 'registry', '__version__']
