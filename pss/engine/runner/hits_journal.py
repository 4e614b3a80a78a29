"""The file of what a search measured, so that it can be interrupted."""

import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import numpy as np

from ...checks import Fields, check_boolean, check_integer
from ...errors import InputError
from ...files import parse_json, read_text, system_errors, write_text
from ...structures import Subnet

VERSION = 1


class Hits(NamedTuple):
    """Which of a stretch of images a subnet gets right.

    Attributes:
        subnet: the subnet.
        final: whether it had the statistics that it would be kept with.
        first: place of the first image, in the search's order.
        hits: bool, ``(images, )``.
    """
    subnet: Subnet
    final: bool
    first: int
    hits: np.ndarray


class HitsJournal:
    """A line of JSON for each measurement, after one that says of what.

    Args:
        path: of the file.
        identity: of the weights, the images and the settings.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self._path = path
        self._header = dict(version=VERSION, identity=identity)

    def open(self) -> List[Hits]:
        """Returns what an earlier search left, if it had the same identity;
        otherwise begins a new file.

        Raises:
            InputError: if the file is damaged or cannot be written.
        """
        lines = read_text(self._path).splitlines() \
            if os.path.lexists(self._path) else []
        rows = [*self._parsed(lines)]
        found = [self._hits(row, i) for i, row in enumerate(rows[1:], start=2)
                 ] if rows and rows[0] == self._header else []
        content = [self._header, *map(_as_row, found)]
        write_text(''.join(json.dumps(row) + '\n' for row in content),
                   self._path)
        return found

    def _parsed(self, lines: List[str]) -> Iterator[Any]:
        for i, line in enumerate(lines, start=1):
            try:
                yield parse_json(line)
            except InputError as error:
                if i < len(lines):  # the last may be incomplete
                    raise self._damaged(i, error) from None

    def _hits(self, row: Any, line: int) -> Hits:
        try:
            return _from_row(row)
        except ValueError as error:  # InputError is one
            raise self._damaged(line, error) from None

    def _damaged(self, line: int, reason: Exception) -> InputError:
        return InputError(f'{self._path}: damaged in line {line} ({reason}); '
                          'remove the file to search anew')

    def add(self, measured: List[Hits]) -> None:
        """Adds measurements.

        Raises:
            InputError: if they cannot be written.
        """
        with system_errors(f'{self._path}: cannot be written'), \
                self._path.open('a', encoding='utf-8') as file:
            for hits in measured:
                file.write(json.dumps(_as_row(hits)) + '\n')


def _from_row(row: Any) -> Hits:
    """What :func:`_as_row` was made from.

    Raises:
        ValueError: if a field is missing or wrong.
    """
    fields = Fields(row, 'a measurement')
    images = check_integer('images', fields.get('images', int), 1)
    packed = np.frombuffer(bytes.fromhex(fields.get('hits', str)), np.uint8)
    if len(packed) != (images + 7) // 8:
        raise InputError(f'hits of {len(packed)} bytes: expected those of '
                         f'{images} images')
    return Hits(
        Subnet.from_dict(fields.get('subnet', dict)),
        check_boolean('final', row.get('final')),
        check_integer('first', fields.get('first', int), 0),
        np.unpackbits(packed, count=images).astype(bool))


def _as_row(hits: Hits) -> Dict[str, Any]:
    return dict(
        subnet=hits.subnet.as_dict(),
        final=hits.final,
        first=hits.first,
        images=len(hits.hits),
        hits=np.packbits(hits.hits).tobytes().hex())
