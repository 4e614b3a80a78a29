"""How good subnets are: metrics, results, tables and plots."""

from .metrics import SubnetAccuracy
from .pool_log import plot_pools, read_pool_log
from .results import (
                      plot_results,
                      read_results,
                      report_results,
                      results_table,
                      write_csv,
                      write_results,
)

__all__ = [
    'SubnetAccuracy', 'plot_pools', 'plot_results', 'read_pool_log',
    'read_results', 'report_results', 'results_table', 'write_csv',
    'write_results'
]
