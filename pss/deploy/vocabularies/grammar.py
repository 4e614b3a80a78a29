"""What vocabularies are written in: checks of values, and families of classes.

A ``Check`` refuses a value that is not as expected. A :class:`Family` is
the check of a config with a ``type``: the type has to be one of its entries,
and every key of the config passes that entry's check for it.
"""

import importlib
from dataclasses import dataclass, field
from typing import Any, Callable, Collection, Dict, Mapping, Optional, Sequence

from mmengine.registry import Registry

from ...checks import (
    check_boolean,
    check_choice,
    check_integer,
    check_keys,
    check_number,
    check_text,
    shown,
)
from ...errors import InputError
from ...registry import importing_nothing

# Packages whose registered classes the reader trusts.
Trust = Sequence[str]
# Raises InputError unless a value is as expected: (where, value, trust). The
# result is ignored.
Check = Callable[[str, Any, Trust], object]

LONGEST_LIST = 100_000


def integer(least: Optional[int] = None, most: Optional[int] = None) -> Check:
    """An integer within a range, both ends included."""
    return lambda where, value, trust: check_integer(where, value, least, most)


def number(**limits: float) -> Check:
    """A finite number; the limits are those of :func:`.check_number`."""
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
    """None, or what another check accepts."""
    return lambda where, value, trust: \
        None if value is None else check(where, value, trust)


def list_of(check: Check, least: int = 0, most: int = LONGEST_LIST) -> Check:
    """A list of ``least`` to ``most`` values, each accepted by a check."""

    def check_list(where: str, value: Any, trust: Trust) -> None:
        if not isinstance(value, (list, tuple)) or \
                not least <= len(value) <= most:
            raise InputError(f'{where}={shown(value)}: expected a list of '
                             f'{least} to {most} values')
        for i, item in enumerate(value):
            check(f'{where}[{i}]', item, trust)

    return check_list


def either(*checks: Check) -> Check:
    """What any of several checks accepts; otherwise the last one's error."""

    def check_any(where: str, value: Any, trust: Trust) -> object:
        for check in checks[:-1]:
            try:
                return check(where, value, trust)
            except InputError:
                pass
        return checks[-1](where, value, trust)

    return check_any


def mapping(keys: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """An object without a type.

    Args:
        keys: a check for each key it may have.
        required: the keys it must have.
    """
    return lambda where, value, trust: \
        _check_items(where, value, trust, keys, required)


def by_name(check: Check, most: int = 256) -> Check:
    """An object with any names, each with a value that a check accepts."""

    def check_all(where: str, value: Any, trust: Trust) -> None:
        if not isinstance(value, dict) or len(value) > most:
            raise InputError(f'{where}={shown(value)}: expected an object with '
                             f'at most {most} names')
        for name, item in value.items():
            check_text(f'{where}: a name', name)
            check(f'{where}[{name!r}]', item, trust)

    return check_all


@dataclass(frozen=True)
class Entry:
    """A class on a list.

    Attributes:
        keys: a check for each key its config may have.
        required: the keys its config must have.
    """
    keys: Mapping[str, Check] = field(default_factory=dict)
    required: Collection[str] = ()


@dataclass(frozen=True)
class Family:
    """The classes that are possible in one place of a config; a ``Check``.

    Attributes:
        registry: builds them; trusted classes are looked up in it.
        scope: the registry's, assumed for types without a scope.
        entries: the list, by name without scope; only the names of this
            package's classes keep their ``pss.``.
        default: the class if a config has no ``type``.
        parts: further families that the arguments of a trusted class may
            contain.
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
        if name is not None and name in self.entries:
            entry = self.entries[name]
            items = {k: v for k, v in value.items() if k != 'type'}
            return _check_items(f'{where} ({name})', items, trust, entry.keys,
                                entry.required, 'type')
        if not _is_trusted(kind, self.registry, trust):
            raise InputError(
                f'{where}: type={shown(kind)}: expected one of '
                f'{", ".join(self.entries)}; a class of your own has to be '
                "registered and its package trusted: trust=['package']")
        return self._check_trusted(where, value, trust)

    def _name(self, kind: Any) -> Optional[str]:
        """A type in the form of :attr:`entries`; ``None`` if it is not text."""
        if not isinstance(kind, str):
            return None
        name = kind.removeprefix(f'{self.scope}.')
        return kind if name.startswith('pss.') else name

    def _check_trusted(self, where: str, value: Dict[str, Any],
                       trust: Trust) -> None:
        """Checks a trusted class's arguments: any data, but every type in them
        has to be on a list or trusted in turn."""
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
    """Imports the packages that a reader trusts, and returns their names.

    Args:
        trust: names of packages or modules.

    Raises:
        InputError: if it is not a list of names, or one cannot be imported.
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
        except Exception as error:  # importing runs the package's own code
            raise InputError(f'trust: {name} cannot be imported '
                             f'({type(error).__name__}: {error})') from None
    return trust


def _is_trusted(kind: Any, registry: Registry, trust: Trust) -> bool:
    """Whether a type is registered and defined by a trusted package."""
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
