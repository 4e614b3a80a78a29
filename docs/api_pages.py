"""Writes the pages of the reference: one for each package in ``pss``."""

from pathlib import Path
from typing import Iterator, List

# Modules that need what is not in .venv; pages say what users need of them.
LEFT_OUT = ('pss.serving.ray', )

AUTOMODULE = """.. automodule:: {name}
   :members:
   :show-inheritance:
   :ignore-module-all:
"""


def write_pages(source: Path, folder: Path) -> None:
    """Writes the pages, and removes those of packages that are gone.

    Names are documented where they are defined, once; packages only pass them
    on.

    Args:
        source: the folder of the outermost package.
        folder: where the pages go, as ``PACKAGE.rst``.
    """
    pages = {f'{name_of(source, p)}.rst': p for p in packages(source)}
    folder.mkdir(exist_ok=True)
    for old in folder.glob('*.rst'):
        if old.name not in pages:
            old.unlink()
    for name, package in pages.items():
        text = page(source, package)
        path = folder / name
        # a page that is written again is read again
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def packages(folder: Path) -> Iterator[Path]:
    """The folder and all packages in it; ``pss/runtime`` is a link to one."""
    yield folder
    for path in sorted(folder.iterdir()):
        if (path / '__init__.py').exists():
            yield from packages(path)


def page(source: Path, package: Path) -> str:
    """The page of a package: its docstring, its packages, its modules."""
    name = name_of(source, package)
    inner = [p for p in packages(package) if p.parent == package]
    modules = [p for p in sorted(package.glob('*.py')) if p.stem[0] != '_']
    parts = [heading(name, '='), AUTOMODULE.format(name=name)]
    if inner:
        parts.append('.. toctree::\n   :maxdepth: 1\n\n' +
                     ''.join(f'   {name_of(source, p)}\n' for p in inner))
    for path in modules:
        module = f'{name}.{path.stem}'
        if module not in LEFT_OUT:
            parts.append(heading(path.stem, '-'))
            parts.append(AUTOMODULE.format(name=module))
    return '\n'.join(parts)


def name_of(source: Path, package: Path) -> str:
    """A package's name, such as ``pss.engine.hooks``."""
    parts: List[str] = list(package.relative_to(source.parent).parts)
    return '.'.join(parts)


def heading(text: str, line: str) -> str:
    """A heading in reStructuredText, of code."""
    text = f'``{text}``'
    return f'{text}\n{line * len(text)}\n'
