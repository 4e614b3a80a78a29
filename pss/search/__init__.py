"""Choosing subnets of a trained supernet on held-out images."""

from .evidence import Evidence, Measured, standard_error
from .keeping import Finalist, keep
from .subnet_search import Evaluate, Level, SubnetSearch, check_images
from .surrogate import Prediction, Surrogate

__all__ = [
    'Evaluate', 'Evidence', 'Finalist', 'Level', 'Measured', 'Prediction',
    'SubnetSearch', 'Surrogate', 'check_images', 'keep', 'standard_error'
]
