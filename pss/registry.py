"""The registries of the scope ``pss``, children of MMEngine's where it has one.

Each names the module that fills it, which MMEngine imports when a config first
asks for a ``pss.`` type.
"""

import difflib
import inspect
from typing import Any, Iterable, Sequence, Set, Tuple

from mmengine.config import ConfigDict
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_MODEL_WRAPPERS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import (
    OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
)
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import Registry

from .errors import InputError

MODELS = Registry(
    'model', parent=MMENGINE_MODELS, scope='pss', locations=['pss.models'])
MODEL_WRAPPERS = Registry(
    'model wrapper',
    parent=MMENGINE_MODEL_WRAPPERS,
    scope='pss',
    locations=['pss.models'])
DATASETS = Registry(
    'dataset', parent=MMENGINE_DATASETS, scope='pss',
    locations=['pss.datasets'])
HOOKS = Registry(
    'hook',
    parent=MMENGINE_HOOKS,
    scope='pss',
    locations=['pss.engine', 'pss.deploy'])
LOOPS = Registry(
    'loop', parent=MMENGINE_LOOPS, scope='pss', locations=['pss.engine'])
OPTIM_WRAPPERS = Registry(
    'optimizer wrapper',
    parent=MMENGINE_OPTIM_WRAPPERS,
    scope='pss',
    locations=['pss.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope='pss',
    locations=['pss.engine'])
METRICS = Registry(
    'metric', parent=MMENGINE_METRICS, scope='pss',
    locations=['pss.evaluation'])
RESOURCES = Registry(
    'resource', scope='pss', locations=['pss.resources'])

_REGISTRIES = (MODELS, MODEL_WRAPPERS, DATASETS, HOOKS, LOOPS, OPTIM_WRAPPERS,
               OPTIM_WRAPPER_CONSTRUCTORS, METRICS, RESOURCES)

# What other parts of MMEngine put into the config of one of our types.
_FRAMEWORK_KEYS = {'type', '_scope_', '_delete_'}
_KEYS_OF_OTHERS = {
    HOOKS: {'priority'},
    OPTIM_WRAPPERS: {'optimizer', 'constructor', 'paramwise_cfg'},
    # given by Runner when it builds a loop
    LOOPS: {'runner', 'dataloader', 'evaluator'},
}


def check_keys(given: Iterable[str], legal: Iterable[str], where: str) -> None:
    """Refuses keys that nobody reads.

    Raises:
        InputError: it names the key, the nearest legal one and all of them.
    """
    legal = sorted(legal)
    for key in given:
        if key not in legal:
            near = difflib.get_close_matches(str(key), legal, 1)
            hint = f' (did you mean {near[0]!r}?)' if near else ''
            raise InputError(f'{where}: unknown key {key!r}{hint}; legal keys '
                             f'are {", ".join(legal)}')


def check_config(cfg: Any, where: str = 'config') -> None:
    """Checks the keys of every ``pss.`` type in a config, before it is built.

    Args:
        cfg: a config, or any part of one.
        where: the path of that part, for the message.

    Raises:
        InputError: for a ``pss.`` type that does not exist, and for a key
            that its constructor does not take.
    """
    if isinstance(cfg, (list, tuple)):
        for i, item in enumerate(cfg):
            check_config(item, f'{where}[{i}]')
    elif isinstance(cfg, (dict, ConfigDict)) or hasattr(cfg, '_cfg_dict'):
        items = dict(cfg.items())
        kind = items.get('type')
        if isinstance(kind, str) and kind.startswith('pss.'):
            _check_type(kind, items, where)
        for key, value in items.items():
            check_config(value, key if where == 'config' else f'{where}.{key}')


def _check_type(kind: str, cfg: dict, where: str) -> None:
    name = kind[len('pss.'):]
    for registry in _REGISTRIES:
        target = registry.get(name)
        if target is not None and target.__module__.startswith('pss.'):
            own = target.config_keys(cfg) if hasattr(target, 'config_keys') \
                else parameters(target)
            legal = own | _FRAMEWORK_KEYS | \
                _KEYS_OF_OTHERS.get(registry, set())
            return check_keys(cfg, legal, f'{where} ({kind})')
    known = sorted({f'pss.{key}' for r in _REGISTRIES for key in r.module_dict})
    near = difflib.get_close_matches(kind, known, 1)
    hint = f'; did you mean {near[0]!r}?' if near else ''
    raise InputError(f'{where}: type {kind!r} does not exist{hint} '
                     f'(there are {", ".join(known)})')


def check_registered(cfg: Any, registry: Registry, modules: Sequence[str],
                     where: str,
                     others: Sequence[Tuple[Registry, Sequence[str]]] = (),
                     names: Sequence[str] = ()) -> None:
    """Checks that every type in a config is one of a registry's own.

    For configs that come from elsewhere: MMEngine imports a type that no
    registry knows.

    Args:
        cfg: a config, or any part of one.
        registry: that types without a scope are of: mmpretrain's, for
            example, and then MMEngine's.
        modules: where the types must be defined.
        where: the path of that part, for the message.
        others: more registries, each with its modules.
        names: legal types that are in none.

    Raises:
        InputError: for another type, a key that is not a name, and keys that
            name files to load weights from.
    """
    if isinstance(cfg, (list, tuple)):
        for i, item in enumerate(cfg):
            check_registered(item, registry, modules, f'{where}[{i}]', others,
                             names)
    elif isinstance(cfg, dict):
        for key, value in cfg.items():
            if not isinstance(key, str) or not key.isidentifier() or \
                    key in ('_scope_', 'init_cfg', 'pretrained'):
                raise InputError(f'{where}: key {key!r} is not legal here')
            pairs = ((registry, modules), *others)
            if key == 'type' and value not in names and not any(
                    _is_registered(value, *pair) for pair in pairs):
                legal = ', '.join(m for _, ms in pairs for m in ms)
                raise InputError(f'{where}: type={value!r} is not one of the '
                                 f'types that {legal} register')
            check_registered(value, registry, modules, f'{where}.{key}',
                             others, names)


def _is_registered(kind: Any, registry: Registry,
                   modules: Sequence[str]) -> bool:
    """Whether a type is a registry's and is defined in one of the modules."""
    scope, _, name = str(kind).rpartition('.')
    root = registry.root
    # in the order that MMEngine looks in
    known = {registry.scope: registry, 'mmengine': root}
    searched = known.values() if not scope else filter(
        None, [{**known, **root.children}.get(scope)])
    target = next((found.module_dict[name] for found in searched
                   if name in found.module_dict), None)
    return target is not None and any(
        f'{target.__module__}.'.startswith(f'{module}.')
        for module in modules)


def parameters(target) -> Set[str]:
    """The keyword arguments that a class or a function takes.

    A class that passes ``**kwargs`` on takes what its bases take.
    """
    callables = [target]
    if inspect.isclass(target):
        callables = [c.__init__ for c in target.__mro__
                     if '__init__' in vars(c)]
    names: Set[str] = set()
    for function in callables:
        parameters = inspect.signature(function).parameters.values()
        names |= {p.name for p in parameters
                  if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names - {'self'}
