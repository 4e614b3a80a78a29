"""What subnets cost: counted by fvcore, looked up in tables."""

from .blocks import BlockKey, reachable_blocks
from .flops import Flops, flops_table
from .fvcore_counter import count_macs, macs_by_module
from .latency import Latency, LatencyTable, Timing
from .named_resources import Resource, build_resources, cost_field, cost_tables
from .parameters import Parameters
from .peak_memory import PeakMemory

__all__ = [
    'BlockKey', 'Flops', 'Latency', 'LatencyTable', 'Parameters', 'PeakMemory',
    'Resource', 'Timing', 'build_resources', 'cost_field', 'cost_tables',
    'count_macs', 'flops_table', 'macs_by_module', 'reachable_blocks'
]
