"""A resource level, and the range of costs that belongs to it."""

import math
from dataclasses import dataclass
from typing import Any, List

from ..errors import InputError


@dataclass(frozen=True)
class Budget:
    """One resource level: the costs that round to it.

    Attributes:
        resource: the resource's name, such as ``flops``.
        level: in the resource's unit (``flops``: MFLOPs).
        step: distance between levels, in the same unit. A cost belongs to the
            level if it is in ``[level - step / 2, level + step / 2)``.
    """
    resource: str
    level: float
    step: float

    @property
    def low(self) -> float:
        """Smallest cost that belongs to the level."""
        return self.level - self.step / 2

    @property
    def high(self) -> float:
        """Smallest cost above that no longer does."""
        return self.level + self.step / 2

    def __str__(self) -> str:
        return f'{self.resource} {self.level:g}'


def budgets_of(resource: str, start: Any, stop: Any, step: Any) -> List[Budget]:
    """The budgets from ``start`` to ``stop``, both included.

    Raises:
        InputError: if a value is not a finite number, ``step`` is not above
            zero, the range is empty or reversed, or ``stop`` is not a whole
            number of steps from ``start``.
    """
    for name, value in (('start', start), ('stop', stop), ('step', step)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) \
                or not math.isfinite(value):
            raise InputError(f'levels of {resource!r}: {name}={value!r} is not '
                             'a finite number')
    where = f'levels of {resource!r}'
    if step <= 0:
        raise InputError(f'{where}: step={step!r} must be above 0')
    if stop < start:
        raise InputError(f'{where}: the range from start={start!r} to '
                         f'stop={stop!r} is empty; stop must not be below '
                         'start')
    steps = (stop - start) / step
    if abs(steps - round(steps)) > 1e-6:
        raise InputError(f'{where}: stop={stop!r} is not a whole number of '
                         f'steps of {step!r} above start={start!r}')
    # rounded, so that 3 * 0.1 is the level 0.3 in names and in files
    return [Budget(resource, round(start + i * step, 9), float(step))
            for i in range(round(steps) + 1)]


def spread_budgets(resource: str, cheapest: float, dearest: float,
                   pools: int) -> List[Budget]:
    """So many budgets, evenly over the costs that a space reaches.

    As in the published ranges there are none for the ends: these are the
    smallest and the largest subnet's. The step has two significant digits, and
    the levels are multiples of it.

    Raises:
        InputError: if the costs are too close together for so many.
    """
    raw = (dearest - cheapest) / (pools + 1)
    if not raw > 1e-9 * dearest:
        raise InputError(f'budgets.{resource}.pools={pools}: the space reaches '
                         f'{cheapest:g} to {dearest:g}, too little for so many')
    unit = 10. ** (math.floor(math.log10(raw)) - 1)
    # half a step at either end may be lost to rounding, but no more
    step = math.floor(raw / unit) * unit
    first = round((cheapest + dearest - (pools - 1) * step) / 2 / step)
    levels = [round((first + i) * step, 9) for i in range(pools)]
    return [Budget(resource, level, round(step, 9)) for level in levels]
