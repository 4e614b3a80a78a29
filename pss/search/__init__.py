"""Choosing subnets of a trained supernet on held-out images."""

from .evidence import Evidence, Measured, standard_error
from .keeping import Finalist, keep
from .subnet_search import Evaluate, Level, SubnetSearch
from .surrogate import Prediction, Surrogate

__all__ = [
    'Evaluate', 'Evidence', 'Finalist', 'Level', 'Measured', 'Prediction',
    'SubnetSearch', 'Surrogate', 'keep', 'standard_error'
]
