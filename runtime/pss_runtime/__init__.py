"""Runs device banks: many subnets of one network, without PyTorch."""

from .adaptive import Adaptive
from .adaptive_session import AdaptiveSession
from .device_bank import DeviceBank, KeptSubnet, read_device_bank
from .errors import InputError
from .latency_follower import LatencyFollower
from .selection import BankSelection, SubnetTable

__all__ = [
    'Adaptive', 'AdaptiveSession', 'BankSelection', 'DeviceBank', 'InputError',
    'KeptSubnet', 'LatencyFollower', 'SubnetTable', 'read_device_bank'
]
