"""References in docstrings resolve, so that renames leave none behind."""

import ast
import importlib
import re
from contextlib import suppress

import pytest

from .paths import ROOT

ROLE = re.compile(
    r':(class|func|meth|mod|attr|data):`(?:[^`<]*<)?~?([^`>]+)>?`')
# pss/runtime is a link, which rglob() does not follow
FILES = sorted(
    {*(ROOT / 'pss').rglob('*.py'), *(ROOT / 'pss/runtime').glob('*.py')})


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def names_in(path):
    """Full names of what a file defines: itself, classes, functions and their
    members, those that only ``self.x = ...`` or "Attributes:" names included.
    """
    module = module_of(path)
    found = {module}

    def visit(node, prefix, owner=None):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.ClassDef, ast.FunctionDef)):
                name = f'{prefix}.{child.name}'
                found.add(name)
                if isinstance(child, ast.ClassDef):
                    documented = re.findall(r'^    (\w+)(?: \(.*\))?:',
                                            ast.get_docstring(child) or '',
                                            re.M)
                    found.update(f'{name}.{member}' for member in documented)
                    visit(child, name, owner=name)
                elif owner:
                    found.update(f'{owner}.{inner.attr}'
                                 for inner in ast.walk(child)
                                 if isinstance(inner, ast.Attribute)
                                 and isinstance(inner.ctx, ast.Store))
            for target in getattr(child, 'targets',
                                  [getattr(child, 'target', None)]):
                if isinstance(target, ast.Name):
                    found.add(f'{prefix}.{target.id}')

    visit(ast.parse(path.read_text()), module)
    return found


DEFINED = set().union(*map(names_in, FILES))


def is_attribute(found, path):
    """Whether a dotted path of names leads somewhere from an object."""
    for name in path:
        if not hasattr(found, name):
            return False
        found = getattr(found, name)
    return True


def is_importable(name):
    """Whether a dotted name leads to a module or an attribute of one."""
    parts = name.split('.')
    for i in range(len(parts), 0, -1):
        with suppress(ImportError):
            return is_attribute(
                importlib.import_module('.'.join(parts[:i])), parts[i:])
    return False


def is_found(name, path):
    """Whether a reference leads somewhere: a leading dot searches all of the
    package, as in Sphinx; other names are looked up in the module and its
    classes, then imported."""
    if name.startswith('.'):
        return any(known.endswith(name) for known in DEFINED)
    module = module_of(path)
    if any(
            known.startswith(f'{module}.') and known.endswith(f'.{name}')
            for known in DEFINED):
        return True
    here = importlib.import_module(module)
    classes = [
        value for value in vars(here).values() if isinstance(value, type)
    ]
    return any(
        is_attribute(place, name.split('.'))
        for place in (here, *classes)) or is_importable(name)


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_references(path):
    """Oracle: the names that the package defines, and Python's own import."""
    roles = ROLE.findall(path.read_text())
    assert [name for _, name in roles
            if not is_found(name.strip('()'), path)] == []


def test_that_a_wrong_reference_is_noticed():
    """Oracle: names that are there, and the same misspelt."""
    path = ROOT / 'pss' / 'sampling' / 'pool.py'
    for name in ('.CostTable', 'SubnetPool.update', 'update', 'json.dumps',
                 'pss.sampling.pool', '.pss_sampler_hook'):
        assert is_found(name, path), name
        assert not is_found(f'{name}s', path), name
