"""How good subnets are: metrics, results, tables and plots."""

from .metrics import SubnetAccuracy
from .results import (
                      plot_results,
                      read_results,
                      report_results,
                      results_table,
                      write_csv,
                      write_results,
)

__all__ = [
    'SubnetAccuracy', 'plot_results', 'read_results', 'report_results',
    'results_table', 'write_csv', 'write_results'
]
