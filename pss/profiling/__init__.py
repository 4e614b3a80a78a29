"""Measuring blocks and subnets on a device, and tables of their latencies."""
