"""Exceptions of any kind, in one line.

They come from everywhere: MMEngine, torch and the classes that a config names.
"""

import os
import re

import torch

from ..errors import InputError, printable, without_traceback

LONGEST = 500  # characters of an exception's own message


def said(error: BaseException) -> str:
    """An exception in one line: its type, and the first line of its message.

    For an :class:`.InputError` it is the message alone; for errors of the
    operating system, the file and the reason; for failures in a data loading
    process, the last line of its traceback.
    """
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        return printable(f'{os.fsdecode(error.filename)}: {error.strerror}')
    text = _text(error)
    kind = f'{type(error).__name__}: '
    short = without_traceback(text)
    if short != text:
        kind, text = '', re.sub(r'^pss\.errors\.\w+: ', '', short)
    elif isinstance(error, OSError):
        kind = ''
    wrapped = re.match(r'class `\w+` in \S+: ', text)
    if wrapped:  # older MMEngine wraps what a constructor raised
        kind, text = '', text[wrapped.end():]
    line = next(filter(None, map(str.strip, text.splitlines())), '')
    line = line.partition('. Please check whether')[0]
    if len(line) > LONGEST:
        line = f'{line[:LONGEST]}...'
    return printable(f'{kind}{line}') if line else type(error).__name__


def _text(error: BaseException) -> str:
    """An exception's message; empty if its own code for it fails."""
    if isinstance(error, KeyError) and len(error.args) == 1 and \
            isinstance(error.args[0], str) and ' ' in error.args[0]:
        return error.args[0]  # a sentence, which str() would quote
    if isinstance(error, SystemExit):
        return f'exit status {error.code}'
    try:
        return str(error)
    except Exception:
        return ''


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory of a GPU or of this machine was exhausted."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or \
        isinstance(error, RuntimeError) and "can't allocate memory" in _text(
            error)
