"""What leaves the supernet: extracted subnets."""

from .extraction import extract, extracted_config

__all__ = ['extract', 'extracted_config']
