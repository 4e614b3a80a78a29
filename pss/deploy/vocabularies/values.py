"""Ranges and choices that several lists share.

They are far beyond what any network here has; the real sizes follow from a
bank's weights.
"""

from typing import Dict

from .grammar import Check, choice, integer, number

SIDE = integer(1, 8192)  # of an image, in pixels
CHANNELS = integer(1, 65536)
CLASSES = integer(1, 1_000_000)
SHARE = number(least=0, most=1)
# float32 holds these with room to spare
VALUE = number(least=-1e6, most=1e6)
DIVISOR = number(least=1e-6, most=1e6)
EPS = number(least=1e-12, most=1)
# the keys of every loss
WEIGHTED: Dict[str, Check] = dict(
    reduction=choice('mean', 'sum', 'none'), loss_weight=number())
