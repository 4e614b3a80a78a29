"""What subnets cost: counted by fvcore, looked up in tables."""

from .flops import flops_table
from .fvcore_counter import count_macs, macs_by_module

__all__ = ['count_macs', 'flops_table', 'macs_by_module']
