"""How good subnets are: metrics, results, comparisons, tables and plots."""

from .comparison import (
    caption_of,
    compare_methods,
    comparison_rows,
    comparison_table,
    plot_comparison,
    report_comparison,
    report_files,
)
from .interactive import write_page
from .metrics import SubnetAccuracy
from .pool_log import plot_pools, read_pool_log
from .ranking import rank_summary
from .results import (
    csv_text,
    is_name,
    names_of,
    plot_results,
    read_results,
    report_results,
    results_table,
    write_csv,
    write_results,
)

__all__ = [
    'SubnetAccuracy', 'caption_of', 'compare_methods', 'comparison_rows',
    'comparison_table', 'csv_text', 'is_name', 'names_of', 'plot_comparison',
    'plot_pools', 'plot_results', 'rank_summary', 'read_pool_log',
    'read_results', 'report_comparison', 'report_files', 'report_results',
    'results_table', 'write_csv', 'write_page', 'write_results'
]
