"""Closed vocabularies: what a config that comes from a file may say.

MMEngine's registries build whatever a config names, import what they do not
know by its path, and many classes of OpenMMLab's packages open files, fetch
addresses or call functions that their arguments name. So a config from a file
is not handed to them as it is: classes, their keys and the values of these all
stand on a list, and anything else is refused. The lists are
:mod:`.classifier_vocabulary`, :mod:`.detector_vocabulary` and
:mod:`.testing_vocabulary`.

A class that is on no list is possible only where the reader trusts the package
that defines it, by name.
"""

import importlib
from dataclasses import dataclass, field
from typing import Any, Callable, Collection, Dict, Mapping, Optional, Sequence

from mmengine.registry import Registry

from ..checks import (
    check_boolean,
    check_choice,
    check_integer,
    check_keys,
    check_number,
    check_text,
    shown,
)
from ..errors import InputError
from ..registry import importing_nothing

# Packages whose registered classes the reader trusts.
Trust = Sequence[str]
# Raises InputError unless a value is as expected: (where, value, trust).
Check = Callable[[str, Any, Trust], None]

LONGEST_LIST = 100_000


def integer(least: Optional[int] = None, most: Optional[int] = None) -> Check:
    """An integer inside a range."""
    return lambda where, value, trust: check_integer(where, value, least, most)


def number(**limits: float) -> Check:
    """A finite number, see :func:`.check_number` for the limits."""
    return lambda where, value, trust: check_number(where, value, **limits)


def boolean(where: str, value: Any, trust: Trust) -> None:
    """True or False."""
    check_boolean(where, value)


def nothing(where: str, value: Any, trust: Trust) -> None:
    """None."""
    check_choice(where, value, (None, ))


def choice(*values: Any) -> Check:
    """One of several values."""
    return lambda where, value, trust: check_choice(where, value, values)


def text(longest: int) -> Check:
    """A printable text."""
    return lambda where, value, trust: check_text(where, value, longest)


def optional(check: Check) -> Check:
    """None, or what another check takes."""
    return lambda where, value, trust: \
        None if value is None else check(where, value, trust)


def list_of(check: Check, least: int = 0, most: int = LONGEST_LIST) -> Check:
    """A list of so many values, each as another check takes it."""

    def check_list(where: str, value: Any, trust: Trust) -> None:
        if not isinstance(value, (list, tuple)) or \
                not least <= len(value) <= most:
            raise InputError(f'{where}={shown(value)}: expected a list of '
                             f'{least} to {most} values')
        for i, item in enumerate(value):
            check(f'{where}[{i}]', item, trust)

    return check_list


def either(*checks: Check) -> Check:
    """What any of several checks takes; the last one's message otherwise."""

    def check_any(where: str, value: Any, trust: Trust) -> None:
        for check in checks[:-1]:
            try:
                return check(where, value, trust)
            except InputError:
                pass
        return checks[-1](where, value, trust)

    return check_any


def mapping(keys: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """An object with keys of its own, and no type.

    Args:
        keys: a check for each key that it may have.
        required: keys that it must have.
    """
    return lambda where, value, trust: \
        _check_items(where, value, trust, keys, required)


@dataclass(frozen=True)
class Entry:
    """A class on a list.

    Attributes:
        keys: a check for each key of its config.
        required: keys that must be there.
    """
    keys: Mapping[str, Check] = field(default_factory=dict)
    required: Collection[str] = ()


@dataclass(frozen=True)
class Family:
    """The classes that may stand in one place of a config; a :data:`Check`.

    Attributes:
        registry: what builds them, and where trusted classes are looked up.
        scope: the registry's, of types without one.
        entries: the list, by name without scope; ``pss.`` stays in front of
            our own classes' names.
        default: the class where a config has no ``type``.
        parts: what the arguments of a trusted class may contain besides.
    """
    registry: Registry
    scope: str
    entries: Mapping[str, Entry]
    default: Optional[str] = None
    parts: Sequence['Family'] = ()

    def __call__(self, where: str, value: Any, trust: Trust) -> None:
        if not isinstance(value, dict):
            raise InputError(f'{where}={shown(value)}: expected an object')
        kind = value.get('type', self.default)
        name = self._name(kind)
        if name in self.entries:
            entry = self.entries[name]
            items = {k: v for k, v in value.items() if k != 'type'}
            return _check_items(f'{where} ({name})', items, trust, entry.keys,
                                entry.required, 'type')
        if not _is_trusted(kind, self.registry, trust):
            raise InputError(
                f'{where}: type={shown(kind)}: expected one of '
                f'{", ".join(self.entries)}; a class of your own has to be '
                "registered, and its package trusted: trust=['package']")
        return self._check_trusted(where, value, trust)

    def _name(self, kind: Any) -> Optional[str]:
        """A type as :attr:`entries` has it; ``None`` for what is no text."""
        if not isinstance(kind, str):
            return None
        name = kind.removeprefix(f'{self.scope}.')
        return kind if name.startswith('pss.') else name

    def _check_trusted(self, where: str, value: Dict[str, Any],
                       trust: Trust) -> None:
        """The arguments of a trusted class: any data. Where there is a type
        in them, it has to be on a list or trusted again."""
        for key, item in value.items():
            if key == 'type':
                continue
            check_text(f'{where}: a key', key)
            if key in ('_scope_', '_delete_'):  # MMEngine's own
                raise InputError(f'{where}: unknown key {key!r}')
            self._check_data(f'{where}.{key}', item, trust)

    def _check_data(self, where: str, value: Any, trust: Trust) -> None:
        if isinstance(value, dict):
            if 'type' in value:
                family = next((part for part in self.parts
                               if part._name(value['type']) in part.entries),
                              self)
                family(where, value, trust)
            else:
                self._check_trusted(where, value, trust)
        elif isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                self._check_data(f'{where}[{i}]', item, trust)


def _check_items(where: str, value: Any, trust: Trust, keys: Mapping[str,
                                                                     Check],
                 required: Collection[str], *others: str) -> None:
    if not isinstance(value, dict):
        raise InputError(f'{where}={shown(value)}: expected an object')
    check_keys(value, (*keys, *others), where)
    for key in required:
        if key not in value:
            raise InputError(f'{where}: key {key!r} is missing; expected '
                             f'{", ".join(required)}')
    for key, item in value.items():
        keys[key](f'{where}.{key}', item, trust)


def check_trust(trust: Trust) -> Sequence[str]:
    """The packages that a reader trusts, imported.

    Args:
        trust: names of packages or modules.

    Raises:
        InputError: if it is no list of names, or one cannot be imported.
    """
    if isinstance(trust, str) or not isinstance(trust, Sequence) or \
            not all(isinstance(name, str) and
                    all(part.isidentifier() for part in name.split('.'))
                    for name in trust):
        raise InputError(f'trust={shown(trust)}: expected a list of names of '
                         "packages, such as ['mypackage']")
    for name in trust:
        try:
            importlib.import_module(name)
        except Exception as error:  # importing runs what the package says
            raise InputError(f'trust: {name} cannot be imported '
                             f'({type(error).__name__}: {error})') from None
    return trust


def _is_trusted(kind: Any, registry: Registry, trust: Trust) -> bool:
    """Whether a type is registered and a trusted package defines it."""
    if not trust or not isinstance(kind, str):
        return False
    scope, _, name = kind.rpartition('.')
    known = {'': registry, 'mmengine': registry.root, **registry.root.children}
    if scope not in known:
        return False
    with importing_nothing():
        target = known[scope].get(name)
    return target is not None and any(
        f'{target.__module__}.'.startswith(f'{package}.') for package in trust)
