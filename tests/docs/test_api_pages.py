import re
import runpy

from ..paths import ROOT


def test_every_module_has_its_place(tmp_path):
    """Oracle: the Python files in pss/, through its link to the runtime as
    well; private ones are left out, and the one that needs Ray."""
    script = runpy.run_path(str(ROOT / 'docs' / 'api_pages.py'))
    write_pages = script['write_pages']
    assert script['LEFT_OUT'] == ('pss.serving.ray', )
    old = tmp_path / 'api' / 'pss.gone.rst'
    old.parent.mkdir()
    old.write_text('of a package that is gone')
    write_pages(ROOT / 'pss', tmp_path / 'api')
    documented = [
        name for page in (tmp_path / 'api').glob('*.rst')
        for name in re.findall(r'automodule:: (\S+)', page.read_text())
    ]
    modules = set()
    for folder in ('pss', 'runtime/pss_runtime'):
        for path in (ROOT / folder).rglob('*.py'):
            parts = path.relative_to(ROOT).with_suffix('').parts
            name = '.'.join(parts).replace('runtime.pss_runtime', 'pss.runtime')
            modules.add(name.removesuffix('.__init__'))
    assert len(documented) == len(set(documented))
    assert set(documented) == {
        name
        for name in modules if not name.split('.')[-1].startswith('_')
    } - {'pss.serving.ray'}
    assert not old.exists()
