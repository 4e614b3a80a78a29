"""Checks of pickles that are made before anything unpickles them."""

import pickle
import pickletools
from typing import Any, BinaryIO, Dict, List, Union

from .checks import shown

MOST_NESTED = 16  # levels of nested tuples
_MARK = -1
_TUPLES = {'TUPLE', 'TUPLE1', 'TUPLE2', 'TUPLE3', 'FROZENSET'}


def check_operations(source: Union[bytes, BinaryIO], size: int) -> None:
    """Refuses a pickle that would take memory or time out of proportion.

    It tracks the effect of each operation on the unpickler's stack without
    executing any, and refuses two things. One is a memo index larger than the
    file could fill, since the unpickler allocates memory up to the highest
    index. The other is deeply nested tuples: a tuple that holds another one
    twice, which holds a third one twice, and so on, takes a few bytes, but as
    the key of a dict it would take years to hash.

    Args:
        source: the pickle's bytes, or a file at its start; the file is left
            after the pickle's end.
        size: of the whole file, in bytes.

    Raises:
        pickle.UnpicklingError: for these, and for anything that is not a
            pickle.
    """
    stack: List[int] = []  # depth of nested tuples in each entry
    memory: Dict[int, int] = {}
    argument: Any  # of a memo operation, an integer
    for operation, argument, _ in pickletools.genops(source):
        name = operation.name
        taken = _take(stack, operation.stack_before)
        depth = max(taken, default=0)
        if name in _TUPLES:
            depth += 1
            if depth > MOST_NESTED:
                raise pickle.UnpicklingError(
                    f'more than {MOST_NESTED} nested tuples')
        if name == 'MEMOIZE':
            memory[len(memory)] = depth
        elif 'PUT' in name:
            if argument > size:
                raise pickle.UnpicklingError('its memo index '
                                             f'{shown(argument)} is too large')
            memory[argument] = max(stack[-1:], default=0)
        elif 'GET' in name:
            depth = memory.get(argument, 0)
        stack += [
            _MARK if item is pickletools.markobject else depth
            for item in operation.stack_after
        ]


def _take(stack: List[int], before: List) -> List[int]:
    """Pops what an operation takes from a stack, and returns it."""
    count = len(before)
    taken: List[int] = []
    if pickletools.markobject in before:
        while stack and stack[-1] != _MARK:
            taken.append(stack.pop())
        if stack:
            stack.pop()
        count = before.index(pickletools.markobject)
    for _ in range(min(count, len(stack))):
        taken.append(stack.pop())
    return [depth for depth in taken if depth != _MARK]
