"""A resource level, and the range of costs that belongs to it."""

import math
from dataclasses import dataclass
from typing import Any, List

from ..checks import check_number
from ..errors import InputError

MOST_LEVELS = 10_000  # of one resource


def level_name(resource: str, level: float) -> str:
    """Returns the name of a level, such as ``flops 80``.

    Different numbers have different names: where six digits do not identify
    the number, the shortest text that does is used.
    """
    text = f'{level:g}'
    if float(text) != level:
        text = repr(float(level)).removesuffix('.0')
    return f'{resource} {text}'


@dataclass(frozen=True)
class Budget:
    """One resource level: the costs that round to it, or that it allows.

    Attributes:
        resource: the resource's name, such as ``flops``.
        level: in the resource's unit (``flops``: MFLOPs).
        step: distance between levels, in the same unit. A cost belongs to the
            level if it is in ``[level - step / 2, level + step / 2)``.
        is_limit: whether the level is the most that may be spent instead; costs
            in ``(level - step, level]`` belong to it.
    """
    resource: str
    level: float
    step: float
    is_limit: bool = False

    @property
    def low(self) -> float:
        """Smallest cost that belongs to the level."""
        if self.is_limit:
            return math.nextafter(self.level - self.step, math.inf)
        return self.level - self.step / 2

    @property
    def high(self) -> float:
        """Smallest cost above it that no longer does."""
        if self.is_limit:
            return math.nextafter(self.level, math.inf)
        return self.level + self.step / 2

    def __str__(self) -> str:
        return level_name(self.resource, self.level)


def budgets_of(resource: str,
               start: Any,
               stop: Any,
               step: Any,
               where: str = '') -> List[Budget]:
    """Returns the budgets from ``start`` to ``stop``, both included.

    Args:
        resource: the resource's name.
        start, stop, step: in the resource's unit.
        where: the field of the config, for messages; by default the trained
            budgets'.

    Raises:
        InputError: if a value is not a finite number, ``step`` is not above
            zero, the range is empty or reversed, ``stop`` is not a whole
            number of steps from ``start``, or there are too many levels.
    """
    where = where or f'budgets.{resource}'
    check_number(f'{where}.start', start)
    check_number(f'{where}.stop', stop)
    check_number(f'{where}.step', step, above=0)
    if stop < start:
        raise InputError(f'{where}: the range from start={start!r} to '
                         f'stop={stop!r} is empty; expected stop at or above '
                         'start')
    steps = (stop - start) / step
    if not steps < MOST_LEVELS:
        raise InputError(f'{where}: step={step!r} makes {steps:g} levels from '
                         f'start={start!r} to stop={stop!r}; expected at most '
                         f'{MOST_LEVELS}')
    if abs(steps - round(steps)) > 1e-6:
        raise InputError(f'{where}: stop={stop!r} is not a whole number of '
                         f'steps of {step!r} above start={start!r}')
    # rounded, so that 3 * 0.1 is the level 0.3 in names and in files
    levels = [round(start + i * step, 9) for i in range(round(steps) + 1)]
    if len(set(levels)) < len(levels):
        raise InputError(f'{where}: step={step!r} is too small; expected '
                         'levels that differ in their first nine decimals')
    return [Budget(resource, level, float(step)) for level in levels]


def spread_budgets(resource: str, cheapest: float, dearest: float,
                   pools: int) -> List[Budget]:
    """Spreads a number of budgets evenly over the costs that a space reaches.

    As in the published ranges, the ends have none: they belong to the smallest
    and the largest subnet. The step has two significant digits, and the levels
    are multiples of it.

    Raises:
        InputError: if the costs are too close together for that many.
    """
    raw = (dearest - cheapest) / (pools + 1)
    if not raw > 1e-9 * dearest:
        raise InputError(f'budgets.{resource}.pools={pools}: the space reaches '
                         f'{cheapest:g} to {dearest:g}; expected fewer')
    unit = 10.**(math.floor(math.log10(raw)) - 1)
    # half a step at either end may be lost to rounding, but no more
    step = math.floor(raw / unit) * unit
    first = round((cheapest + dearest - (pools - 1) * step) / 2 / step)
    levels = [round((first + i) * step, 9) for i in range(pools)]
    if round(step, 9) == 0 or len(set(levels)) < pools:
        raise InputError(f'budgets.{resource}.pools={pools}: the space reaches '
                         f'{cheapest:g} to {dearest:g}; expected levels that '
                         'differ in their first nine decimals')
    return [Budget(resource, level, round(step, 9)) for level in levels]
