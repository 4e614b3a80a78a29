"""Builds the package; setup.cfg has its metadata.

The only step of our own: configs, tools and their indexes are copied into the
build, to pss/.mim, where the ``pss`` command and OpenMMLab's mim look for them.
"""

import shutil
from pathlib import Path
from typing import List, Set

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# where from, relative to this file, and which files
CARRIED = (
    ('configs', ('*.py', '*.yml')),
    ('tools', ('*.py', '*.sh')),
    ('.', ('model-index.yml', 'dataset-index.yml')),
)


def carried_files() -> List[Path]:
    """The files that go to pss/.mim, relative to this folder, in order."""
    found: Set[Path] = set()
    for folder, patterns in CARRIED:
        for pattern in patterns:
            # an index has no wildcard, and is not searched for elsewhere
            pattern = f'**/{pattern}' if '*' in pattern else pattern
            found.update(
                path.relative_to(ROOT)
                for path in (ROOT / folder).glob(pattern))
    return sorted(found)


class BuildWithConfigs(build_py):
    """Builds the Python files as usual, then adds pss/.mim.

    An editable install gets nothing: its configs and tools are those of the
    checkout, where ``pss_command`` finds them.
    """

    def run(self):
        """Builds."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, 'pss', '.mim')
        # a build folder that is left from earlier may have files since deleted
        shutil.rmtree(target, ignore_errors=True)
        for path in carried_files():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(str(ROOT / path), str(target / path))

    def get_outputs(self, include_bytecode=1):
        """All files that are built."""
        outputs = super().get_outputs(include_bytecode)
        if not self.editable_mode:
            outputs += [
                str(Path(self.build_lib, 'pss', '.mim', path))
                for path in carried_files()
            ]
        return outputs


setup(cmdclass=dict(build_py=BuildWithConfigs))
