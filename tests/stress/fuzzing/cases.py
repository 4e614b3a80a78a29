"""One input, and what must hold after it was used."""

import csv
import importlib.util
import json
import math
import re
import sys
from pathlib import Path
from typing import Any, Callable, NamedTuple

from pss.apis import load_config
from pss.cli import run as run_main
from pss.deploy import read_bank
from pss.engine.checkpoints import read_checkpoint_data
from pss.runtime import read_device_bank

from .sandbox import ROOT, state

TOOLS = {}
# servers do not end by themselves; tests/serving sends them bad requests
ENDLESS = ('serve', )


def nothing() -> None:
    """Checks nothing more."""


class Case(NamedTuple):
    """One input.

    Attributes:
        what: says what is wrong with it.
        use: reads and uses it.
        check: raises if the outcome is not sound.
        good: whether refusing it is a failure.
    """
    what: str
    use: Callable[[], Any]
    check: Callable[[], Any] = nothing
    good: bool = False


def load_tools() -> None:
    """Imports every tool once, and what the tools import when they run."""
    import matplotlib.pyplot  # noqa: F401
    import mmpretrain.datasets
    import mmpretrain.visualization  # noqa: F401
    import plotly.graph_objects  # noqa: F401
    for path in sorted((ROOT / 'tools').rglob('*.py')):
        if path.stem in ENDLESS:
            continue
        name = str(path.relative_to(ROOT / 'tools'))[:-3]
        spec = importlib.util.spec_from_file_location(
            'tool_' + re.sub(r'\W', '_', name), path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        TOOLS[name.rpartition('/')[2]] = module
    # describing the machine takes long and serves nothing here
    from mmengine.runner import runner
    runner.collect_env = dict
    # the tool must not install packages or download anything
    TOOLS['fashion_mnist'].install_package = lambda: False
    TOOLS['fashion_mnist'].download = lambda name: b''


def call(tool: str, *words: Any) -> None:
    """Runs a tool as from the command line."""
    module = TOOLS[tool]
    sys.argv = [f'tools/{tool}.py', *map(str, words)]
    run_main(lambda: module.main(module.parse_args()))


def tool_case(what: str,
              tool: str,
              place,
              *words: Any,
              check: Callable[[], Any] = nothing) -> Case:
    """An input of a tool; every file that it writes must be complete."""
    shown = ' '.join(ascii(str(word))[1:-1][:100] or "''" for word in words)

    before = {}

    def use():
        before.update(state(place.folder))
        call(tool, *words)

    def all_checks():
        if not {'-h', '--help'} & set(words):
            assert before != state(place.folder), 'nothing was written'
        check_outputs(place.out)
        check()

    return Case(f'{tool}: {what} ({tool}.py {shown})', use, all_checks)


def check_finite(value: Any, where: str = 'value') -> None:
    """Asserts that every number in a value is finite."""
    if isinstance(value, dict):
        for key, inner in value.items():
            check_finite(inner, f'{where}.{key}')
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            check_finite(inner, f'{where}[{i}]')
    elif isinstance(value, float):
        assert math.isfinite(value), f'{ascii(where)} is {value}'


OTHER = b'other contents'  # in a file that an output may replace


def check_outputs(folder: Path) -> None:
    """Asserts that every file in a folder is complete and can be read."""
    for path in sorted(folder.rglob('*')):
        name = path.name
        assert not name.endswith('.tmp'), f'left behind: {ascii(name)}'
        if path.is_file() and not path.is_symlink():
            check_file(path)


def check_file(path: Path) -> None:
    """Asserts that a file is complete, by the rules of its suffix."""
    kind = path.suffix.lower()
    with open(path, 'rb') as file:
        if file.read(1) in (b'{', b'[') and kind in ('.pth', '.pt', '.onnx'):
            kind = '.json'  # a table may have any name
        file.seek(0)
        if file.read() == OTHER:  # it was there before
            return
    if path.name == 'bank.json':
        if (path.parent / 'weights.bin').exists():
            read_device_bank(path.parent)
        else:
            read_bank(path.parent)
    elif 'vis_data' in path.parts and kind == '.json':
        for line in path.read_text().splitlines():
            check_finite(json.loads(line), str(path.name))
    elif kind == '.json':
        check_finite(json.loads(path.read_text(encoding='utf-8')), path.name)
    elif kind == '.csv':
        with open(path, newline='', encoding='utf-8') as file:
            rows = list(csv.reader(file))
        assert rows and len({len(row) for row in rows}) == 1, path.name
        for row in rows[1:]:
            for text in row:
                assert text not in ('nan', 'inf', '-inf'), \
                    f'{path.name} has {text}'
    elif kind in ('.png', '.jpg'):
        from PIL import Image
        with Image.open(path) as image:
            image.load()
    elif kind == '.pth':
        for tensor in tensors(read_checkpoint_data(path)):
            if tensor.is_floating_point():
                assert tensor.isfinite().all(), f'{path.name} is not finite'
    elif kind == '.py' and 'work' not in path.parts:  # not MMEngine's copies
        load_config(path)
    elif kind == '.onnx':
        import onnx
        onnx.checker.check_model(str(path))
    elif kind == '.pt':
        import torch
        torch.jit.load(path)
    elif kind == '.html':
        assert path.read_text(encoding='utf-8').endswith('</html>\n'), path.name
    elif kind in ('.pdf', '.svg', '.md'):
        assert path.stat().st_size, f'{path.name} is empty'


def tensors(value: Any):
    """All tensors in lists and dicts."""
    if hasattr(value, 'is_floating_point'):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from tensors(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from tensors(inner)
