"""What a subnet, the space of subnets and a resource level are."""

from .budget import Budget, budgets_of, level_name, spread_budgets
from .cost_table import CostTable
from .search_space import SearchSpace, Width, make_divisible
from .subnet import Subnet
from .subnet_file import read_subnets

__all__ = [
    'Budget',
    'CostTable',
    'SearchSpace',
    'Subnet',
    'Width',
    'budgets_of',
    'level_name',
    'make_divisible',
    'read_subnets',
    'spread_budgets',
]
