"""The journal of a latency table that is being built."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, ContextManager, Dict, List, Optional, TextIO

from ..checks import shown
from ..errors import InputError
from ..files import parse_json, read_text, system_errors, write_text
from ..resources import BlockKey, Timing
from ..resources.latency import CONDITIONS, as_row, parse_row


class Journal:
    """Measurements that are not in a table yet.

    Its file, ``PATH.partial``, has a line of conditions and then a line for
    each measurement, written as soon as it is known. It is a context manager;
    entering it reads what an earlier run left.

    Args:
        path: of the table.
        conditions: of the measurements.

    Attributes:
        rounds: the measurements of each block.
        is_needed: whether the file stays when the journal is closed.

    Raises:
        InputError: on entering, if the file is damaged, cannot be written, or
            was measured under other conditions.
    """

    def __init__(self, path: Path, conditions: Dict[str, Any]) -> None:
        self.path = path.with_name(path.name + '.partial')
        self.rounds: Dict[BlockKey, List[Timing]] = {}
        self.is_needed = True
        self._conditions = conditions
        self._file: Optional[TextIO] = None

    def __enter__(self) -> 'Journal':
        try:
            lines = read_text(self.path).splitlines() \
                if os.path.lexists(self.path) else []
        except InputError as error:
            raise InputError(f'{error}; remove it to measure anew') from None
        rows = [_parse(line) for line in lines]
        if rows and rows[-1] is None:
            rows.pop()  # the run was stopped in the middle of a line
        if rows:
            if not isinstance(rows[0], dict):
                raise InputError(f'{self.path}: damaged in line 1; remove it '
                                 'to measure anew')
            check_conditions(rows[0], self._conditions, self.path)
        for i, row in enumerate(rows[1:], start=2):
            try:
                key, timing = parse_row(row)
            except InputError as error:
                raise InputError(f'{self.path}, line {i}: {error}; remove the '
                                 'file to measure anew') from None
            self.rounds.setdefault(key, []).append(timing)
        content = [
            self._conditions, *(as_row(key, timing)
                                for key, timings in self.rounds.items()
                                for timing in timings)
        ]
        write_text(''.join(json.dumps(row) + '\n' for row in content),
                   self.path)
        with self._writing():
            self._file = self.path.open('a', encoding='utf-8')
        return self

    def __exit__(self, *error) -> None:
        assert self._file is not None
        with suppress(OSError):  # all was flushed, or that was the error
            self._file.close()
        if not self.is_needed or not self.rounds:
            self.path.unlink(missing_ok=True)

    def add(self, key: BlockKey, timing: Timing) -> None:
        """Writes a measurement of a block.

        Raises:
            InputError: if it cannot be written.
        """
        assert self._file is not None  # only inside the context
        self.rounds.setdefault(key, []).append(timing)
        with self._writing():
            self._file.write(json.dumps(as_row(key, timing)) + '\n')
            self._file.flush()

    def _writing(self) -> ContextManager[None]:
        return system_errors(f'{self.path}: cannot be written')


def _parse(line: str) -> Any:
    """A line's value; ``None`` if it is incomplete."""
    try:
        return parse_json(line)
    except InputError:
        return None


def check_conditions(found: Dict[str, Any], wanted: Dict[str, Any],
                     path: Path) -> None:
    """Refuses to mix measurements under different conditions.

    Args:
        found: the conditions in a file.
        wanted: the conditions now.
        path: of the file.

    Raises:
        InputError: it names the first condition that differs.
    """
    for name in CONDITIONS:
        if found.get(name) != wanted[name]:
            raise InputError(
                f'{path} was measured with {name}={shown(found.get(name))}, '
                f'now it is {wanted[name]!r}; choose another --out')
