"""The registries of the scope ``pss``, children of MMEngine's where it has one.

Each names the modules that fill it, which MMEngine imports when a config first
uses a ``pss.`` type.
"""

import difflib
import importlib
import inspect
import threading
from contextlib import contextmanager
from functools import wraps
from typing import Any, Callable, Dict, Iterable, Iterator, Set

from mmengine import registry as mmengine_registry
from mmengine.config import ConfigDict
from mmengine.registry import Registry
from mmengine.registry import registry as _lookup

from .checks import check_keys, shown
from .errors import InputError


class OpenRegistry(Registry):
    """A registry that users can add their own classes to.

    A class registered by a module outside this package can be named
    ``pss.Name`` or just ``Name``, whatever a config's default scope is: it is
    also registered with MMEngine's registry, where every lookup ends.
    """

    def _register_module(self,
                         module: Any,
                         module_name: Any = None,
                         force: bool = False) -> None:
        super()._register_module(module, module_name, force)
        if self.parent is None or is_ours(module):
            return
        names = [module_name] if isinstance(module_name, str) else \
            module_name or [module.__name__]
        for name in names:
            if force or name not in self.parent.module_dict:
                self.parent._register_module(module, name, force)


def is_ours(target: Any) -> bool:
    """Whether a class or function is defined in this package."""
    return f'{target.__module__}.'.startswith('pss.')


MODELS = OpenRegistry(
    'model',
    parent=mmengine_registry.MODELS,
    scope='pss',
    locations=['pss.models'])
MODEL_WRAPPERS = OpenRegistry(
    'model wrapper',
    parent=mmengine_registry.MODEL_WRAPPERS,
    scope='pss',
    locations=['pss.models'])
DATASETS = OpenRegistry(
    'dataset',
    parent=mmengine_registry.DATASETS,
    scope='pss',
    locations=['pss.datasets'])
TRANSFORMS = OpenRegistry(
    'transform',
    parent=mmengine_registry.TRANSFORMS,
    scope='pss',
    locations=['pss.datasets'])
HOOKS = OpenRegistry(
    'hook',
    parent=mmengine_registry.HOOKS,
    scope='pss',
    locations=['pss.engine', 'pss.deploy'])
LOOPS = OpenRegistry(
    'loop',
    parent=mmengine_registry.LOOPS,
    scope='pss',
    locations=['pss.engine'])
OPTIM_WRAPPERS = OpenRegistry(
    'optimizer wrapper',
    parent=mmengine_registry.OPTIM_WRAPPERS,
    scope='pss',
    locations=['pss.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = OpenRegistry(
    'optimizer wrapper constructor',
    parent=mmengine_registry.OPTIM_WRAPPER_CONSTRUCTORS,
    scope='pss',
    locations=['pss.engine'])
METRICS = OpenRegistry(
    'metric',
    parent=mmengine_registry.METRICS,
    scope='pss',
    locations=['pss.evaluation'])
RESOURCES = OpenRegistry('resource', scope='pss', locations=['pss.resources'])
SAMPLERS = OpenRegistry('sampler', scope='pss', locations=['pss.engine'])
SCORES = OpenRegistry('score', scope='pss', locations=['pss.engine'])

_REGISTRIES = (MODELS, MODEL_WRAPPERS, DATASETS, TRANSFORMS, HOOKS, LOOPS,
               OPTIM_WRAPPERS, OPTIM_WRAPPER_CONSTRUCTORS, METRICS, RESOURCES,
               SAMPLERS, SCORES)

# Keys that MMEngine reads or adds itself in the config of one of our types.
_FRAMEWORK_KEYS = {'type', '_scope_', '_delete_'}
_KEYS_OF_OTHERS = {
    HOOKS: {'priority'},
    OPTIM_WRAPPERS: {'optimizer', 'constructor', 'paramwise_cfg'},
    # added by Runner when it builds a loop
    LOOPS: {'runner', 'dataloader', 'evaluator'},
}

# Arguments that our own code passes, which a config must not.
_KEYS_OF_CALLERS = {SAMPLERS: {'space', 'costs', 'budgets'}}


def check_config(cfg: Any, where: str = 'config') -> None:
    """Checks the keys of all types in our registries, those of users included,
    before anything is built.

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
        if isinstance(kind, str):
            _check_type(kind, items, where)
        for key, value in items.items():
            check_config(value, key if where == 'config' else f'{where}.{key}')


def _check_type(kind: str, cfg: Dict[str, Any], where: str) -> None:
    scope, name = ('pss', kind[len('pss.'):]) if kind.startswith('pss.') \
        else ('', kind)
    for registry in _REGISTRIES:
        registry.import_from_location()
        target = registry.module_dict.get(name)
        if target is None or not scope and not _goes_without_scope(
                name, target, registry):
            continue
        return check_keys(cfg, _expected_keys(registry, target, cfg),
                          f'{where} ({kind})')
    if not scope:
        return  # another project's
    raise _unknown_type(kind, _REGISTRIES, where)


def _unknown_type(kind: str, registries: Iterable[Registry],
                  where: str) -> InputError:
    known = sorted({f'pss.{key}' for r in registries for key in r.module_dict})
    near = difflib.get_close_matches(kind[:100], known, 1)
    hint = f' (did you mean {near[0]!r}?)' if near else ''
    return InputError(f'{where}: type {shown(kind)} does not exist{hint}; '
                      f'expected one of {", ".join(known)}')


def check_entry(registry: Registry, cfg: Any, where: str) -> Dict[str, Any]:
    """Checks the config of one registered class, by either of its names.

    Args:
        registry: one of ours.
        cfg: the config, with ``type``.
        where: its path, for the message.

    Returns:
        A copy of it.

    Raises:
        InputError: if it is no such config, its type is not registered, or
            the class does not take one of its keys.
    """
    if not isinstance(cfg, dict) or not isinstance(cfg.get('type'), str):
        raise InputError(f'{where}={shown(cfg)}: expected the config of a '
                         f'{registry.name}, with its type')
    target = registry.get(cfg['type'])
    # MMEngine also imports types that are not registered, such as os.system
    if not any(target is known for known in registry.module_dict.values()):
        raise _unknown_type(cfg['type'], [registry], where)
    check_keys(cfg, _expected_keys(registry, target, cfg),
               f'{where} ({cfg["type"]})')
    return dict(cfg)


def _expected_keys(registry: Registry, target: Any, cfg: Dict[str,
                                                              Any]) -> Set[str]:
    """The keys that the config of a registered class may have."""
    own: Set[str] = target.config_keys(cfg) \
        if hasattr(target, 'config_keys') else parameters(target)
    return (own | _FRAMEWORK_KEYS | _KEYS_OF_OTHERS.get(registry, set())) - \
        _KEYS_OF_CALLERS.get(registry, set())


def _goes_without_scope(name: str, target: Any, registry: Registry) -> bool:
    """Whether a name without scope means this class of a user's; another
    project may have registered the same name."""
    return registry.parent is not None and \
        registry.parent.module_dict.get(name) is target and not any(
        name in child.module_dict
        for child in registry.parent.children.values()
        if child is not registry)


_closed = threading.local()  # depth of nested blocks in this thread
_installing = threading.Lock()
_OPENMMLAB = ('pss', 'mmengine', 'mmcv', 'mmpretrain', 'mmdet')


@contextmanager
def importing_nothing() -> Iterator[None]:
    """Restricts registries to what is registered, for this thread.

    MMEngine treats a type that no registry knows as an import path, such as
    ``os.system``, and builds that; it also imports the package that a type's
    scope names. Inside the ``with`` block it does neither, except that it may
    import modules of OpenMMLab packages.
    """
    with _installing:
        if not hasattr(_lookup.import_module, 'of_ours'):
            _lookup.get_object_from_string = _unless_closed(
                _lookup.get_object_from_string, lambda path: None)
            _lookup.import_module = _unless_closed(_lookup.import_module,
                                                   _import_known)
    _closed.depth = getattr(_closed, 'depth', 0) + 1
    try:
        yield
    finally:
        _closed.depth -= 1


def _unless_closed(original: Callable[..., Any],
                   instead: Callable[[str], Any]) -> Callable[..., Any]:
    """Wraps a function of MMEngine's: ``instead`` runs inside the block."""

    @wraps(original)
    def function(name: str, *args: Any, **kwargs: Any) -> Any:
        if getattr(_closed, 'depth', 0):
            return instead(name)
        return original(name, *args, **kwargs)

    vars(function)['of_ours'] = True
    return function


def _import_known(name: str) -> Any:
    """Imports a module if it belongs to an OpenMMLab package or to this one."""
    if name.split('.')[0] not in _OPENMMLAB:
        raise ModuleNotFoundError(f'{name} is not imported here')
    return importlib.import_module(name)


def parameters(target: Callable[..., Any]) -> Set[str]:
    """Names of the keyword arguments that a class or function takes.

    For a class with ``**kwargs`` that includes those of its bases.
    """
    callables = [target]
    if inspect.isclass(target):
        callables = [
            vars(c)['__init__'] for c in target.__mro__ if '__init__' in vars(c)
        ]
    names: Set[str] = set()
    for function in callables:
        parameters = inspect.signature(function).parameters.values()
        names |= {
            p.name
            for p in parameters
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names - {'self'}
