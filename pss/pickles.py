"""Pickles, looked at before anything reads them."""

import pickle
import pickletools
from typing import BinaryIO, Dict, List, Union

from .checks import shown

MOST_NESTED = 16  # tuples inside one another
_MARK = -1
_TUPLES = {'TUPLE', 'TUPLE1', 'TUPLE2', 'TUPLE3', 'FROZENSET'}


def check_operations(source: Union[bytes, BinaryIO], size: int) -> None:
    """Refuses a pickle that would take memory or time beyond its size.

    It follows what the operations do to the unpickler's stack, and executes
    none. What it refuses: a place in the unpickler's memory, which is as long
    as the last place, beyond all that the file could fill; and tuples inside
    tuples, many deep. A tuple that holds another one twice, which holds a
    third one twice, and so on, takes a few bytes, and its hash takes for ever
    where it is the key of a dict.

    Args:
        source: the pickle's bytes, or a file at its beginning; behind it
            afterwards.
        size: of the whole file.

    Raises:
        UnpicklingError: for those, and for what is no pickle.
    """
    stack: List[int] = []  # of each entry, how deep its tuples go
    memory: Dict[int, int] = {}
    for operation, argument, _ in pickletools.genops(source):
        name = operation.name
        taken = _take(stack, operation.stack_before)
        depth = max(taken, default=0)
        if name in _TUPLES:
            depth += 1
            if depth > MOST_NESTED:
                raise pickle.UnpicklingError(
                    f'more than {MOST_NESTED} tuples inside one another')
        if name == 'MEMOIZE':
            memory[len(memory)] = depth
        elif 'PUT' in name:
            if argument > size:
                raise pickle.UnpicklingError('it puts something into place '
                                             f'{shown(argument)}')
            memory[argument] = max(stack[-1:], default=0)
        elif 'GET' in name:
            depth = memory.get(argument, 0)
        stack += [
            _MARK if item is pickletools.markobject else depth
            for item in operation.stack_after
        ]


def _take(stack: List[int], before: List) -> List[int]:
    """Takes from a stack what an operation takes; gives what it was."""
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
