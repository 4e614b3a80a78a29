"""The subcommands that are tools, and running one."""

import ast
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Dict, List

from .carried import carried_folder
from .errors import UsageError

# by the command's name, a file in tools/; in the order of the help
TOOLS: Dict[str, str] = {
    'train': 'train.py',
    'test': 'test.py',
    'search': 'search.py',
    'latency-table': 'build_latency_table.py',
    'bank': 'deployment/build_bank.py',
    'export': 'deployment/export_subnet.py',
    'export-bank': 'deployment/export_bank.py',
    'serve': 'deployment/serve.py',
    'extract': 'model_converters/extract_subnet.py',
    'import-weights': 'model_converters/import_published.py',
    'import-latency-table': 'model_converters/import_published_lut.py',
    'space': 'analysis_tools/show_space.py',
    'cost': 'analysis_tools/subnet_cost.py',
    'sample': 'analysis_tools/sample_subnets.py',
    'rank-pools': 'analysis_tools/rank_pools.py',
    'plot': 'analysis_tools/plot_results.py',
    'plot-pools': 'analysis_tools/plot_pools.py',
    'compare': 'analysis_tools/compare_results.py',
    'fashion-mnist': 'dataset_converters/fashion_mnist.py',
    'fashion-mnist-detection': 'dataset_converters/fashion_mnist_detection.py',
    'dist-train': 'dist_train.sh',
    'dist-test': 'dist_test.sh',
    'slurm-train': 'slurm_train.sh',
    'slurm-test': 'slurm_test.sh',
}
# those of tools in Python are in their docstrings
SUMMARIES = {
    'dist-train': 'Trains in several processes, by torchrun.',
    'dist-test': 'Tests in several processes, by torchrun.',
    'slurm-train': 'Trains in several processes, by Slurm.',
    'slurm-test': 'Tests in several processes, by Slurm.',
}


def tool_file(command: str) -> Path:
    """The file of a command, in the package or the checkout."""
    return carried_folder() / 'tools' / TOOLS[command]


def summary(command: str) -> str:
    """What a command does, in one line; of a tool in Python, the first of its
    docstring."""
    if command in SUMMARIES:
        return SUMMARIES[command]
    text = tool_file(command).read_text(encoding='utf-8')
    return (ast.get_docstring(ast.parse(text)) or '').splitlines()[0]


def run_tool(command: str, words: List[str]) -> None:
    """Runs a tool as ``python tools/TOOL.py WORDS`` does, and ends with its
    exit status.

    Its file becomes the main module, as processes that it spawns expect; only
    its name in messages is that of the command.

    Args:
        command: one of :data:`TOOLS`.
        words: the command line after it.

    Raises:
        UsageError: if a package is missing that the tool imports.
    """
    path = tool_file(command)
    if path.suffix == '.sh':
        os.environ.setdefault('PYTHON', sys.executable)
        os.execvp('bash', ['bash', str(path), *words])
    module = ModuleType('__main__')
    module.__file__ = str(path)
    sys.modules['__main__'] = module
    sys.argv = [f'pss {command}', *words]
    code = compile(path.read_bytes(), str(path), 'exec')
    try:
        exec(code, vars(module))
    except ModuleNotFoundError as error:
        package = (error.name or '').partition('.')[0]
        if package in ('', 'pss'):
            raise
        raise UsageError(
            f'{command}: the package {package} is missing; expected torch, '
            'torchvision, mmengine, mmcv or mmcv-lite, and mmpretrain beside '
            'pss-net: see docs/installing.md') from None
