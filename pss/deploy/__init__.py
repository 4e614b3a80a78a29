"""Deployment: banks of subnets, and subnets extracted as plain networks."""

from ..runtime import LatencyFollower
from .bank import Bank, KeptSubnet
from .bank_hook import BankHook, bank_of
from .bank_networks import build_supernet, kept_networks
from .bank_reading import read_bank
from .bank_writing import write_bank
from .extraction import extract, extracted_config, model_config

__all__ = [
    'Bank', 'BankHook', 'KeptSubnet', 'LatencyFollower', 'bank_of',
    'build_supernet', 'extract', 'extracted_config', 'kept_networks',
    'model_config', 'read_bank', 'write_bank'
]
