"""What an installed package has."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from ..paths import ROOT

# what is no part of the project, and may be large
LEFT_OUT = ('.*', '__pycache__', '*.egg-info', 'build', 'dist', 'data',
            'work_dirs', 'node_modules')


def build(kind, source, out):
    """Builds an sdist or a wheel as pip does, but in this environment; returns
    its path."""
    code = 'import sys; from setuptools import build_meta; ' \
        f'build_meta.build_{kind}(sys.argv[1])'
    done = subprocess.run(
        [sys.executable, '-c', code, str(out)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    path, = out.iterdir()
    return path


@pytest.fixture(scope='module')
def sdist(tmp_path_factory):
    """The unpacked sdist of this checkout."""
    folder = tmp_path_factory.mktemp('sdist')
    shutil.copytree(
        ROOT,
        folder / 'checkout',
        symlinks=True,
        ignore=shutil.ignore_patterns(*LEFT_OUT))
    (folder / 'out').mkdir()
    archive = build('sdist', folder / 'checkout', folder / 'out')
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter='data')
    return folder / archive.name[:-len('.tar.gz')]


@pytest.fixture(scope='module')
def wheel(sdist, tmp_path_factory):
    """The wheel that is built from the sdist."""
    return build('wheel', sdist, tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """A folder with the wheel installed, without its dependencies."""
    folder = tmp_path_factory.mktemp('installed')
    subprocess.run([
        sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps',
        '--no-index', '--target', folder, wheel
    ],
                   check=True)
    return folder


def files(folder, *patterns):
    """Files under a folder of the checkout, by their paths in it."""
    return {
        path.relative_to(ROOT).as_posix(): path
        for pattern in patterns
        for path in (ROOT / folder).rglob(pattern)
    }


def test_files_of_the_wheel(wheel):
    """Oracle: the checkout: every module, config and tool, with its content;
    nothing else but metadata, no link, no file of tests."""
    expected = {
        **files('pss', '*.py', 'py.typed'),
        **files('pss_command', '*.py'),
        # a link in the checkout, which rglob() does not follow
        **{
            f'pss/runtime/{path.name}': path
            for path in (ROOT / 'runtime/pss_runtime').glob('*.py')
        },
        **{
            f'pss/.mim/{name}': path
            for name, path in {
                **files('configs', '*.py', '*.yml'),
                **files('tools', '*.py', '*.sh'),
                'model-index.yml': ROOT / 'model-index.yml',
                'dataset-index.yml': ROOT / 'dataset-index.yml',
            }.items()
        }
    }
    with zipfile.ZipFile(wheel) as archive:
        found = {
            entry.filename: entry
            for entry in archive.infolist()
            if '.dist-info/' not in entry.filename
        }
        assert sorted(found) == sorted(expected)
        for name, entry in found.items():
            assert archive.read(entry) == expected[name].read_bytes(), name
            assert entry.external_attr >> 28 == 0o10, name  # a regular file


def test_metadata_of_the_wheel(wheel):
    """Oracle: setup.cfg; mim takes the import name from the first line of
    top_level.txt."""
    with zipfile.ZipFile(wheel) as archive:
        texts = {
            name.rpartition('/')[2]: archive.read(name).decode()
            for name in archive.namelist() if '.dist-info/' in name
        }
    assert texts['top_level.txt'].splitlines()[0] == 'pss'
    assert 'pss = pss_command.main:main' in texts['entry_points.txt']
    assert 'Name: pss-net\n' in texts['METADATA']
    assert 'LICENSE' in texts


def test_files_of_the_sdist(sdist):
    """Oracle: the checkout: a copy of it can be built and tested, so it has
    everything but what is generated. pss/runtime is a folder there."""
    assert not (sdist / 'pss/runtime').is_symlink()
    for folder in ('pss', 'pss_command', 'configs', 'tools', 'tests', 'docs',
                   'benchmarks', 'demo', 'requirements', 'runtime'):
        for path in (ROOT / folder).rglob('*'):
            name = path.relative_to(ROOT)
            if path.suffix in ('.py', '.sh', '.yml', '.md', '.txt') and \
                    '_build' not in name.parts:  # what `make docs` writes
                assert (sdist / name).is_file(), name
    for path in ROOT.iterdir():
        if path.is_file() and path.name[0] != '.':
            assert (sdist / path.name).is_file(), path.name


def test_installed_package(installed, tmp_path):
    """Oracle: the folder that it was installed to, of every module; and the
    tool's own output, for a config of the package, in another folder."""
    environment = {**os.environ, 'PYTHONPATH': str(installed)}

    def run(*words):
        return subprocess.run(
            list(map(str, words)),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True).stdout

    code = 'import pss, pss.runtime, pss_command as c; ' \
        'print(pss.__file__, pss.runtime.__file__, c.__file__)'
    for path in run(sys.executable, '-c', code).split():
        assert path.startswith(f'{installed}/')
    command = installed / 'bin' / 'pss'
    assert 'pss_mbv2_imagenet ' in run(command, 'configs')
    text = run(command, 'config', 'pss_mbv2_imagenet')
    assert f'{installed}/pss/.mim/configs/_base_/' in text
    # as in a config of any project
    (tmp_path / 'a.py').write_text("_base_ = 'pss::_base_/models/pss_mbv2.py'")
    code = 'import pss; from mmengine.config import Config; ' \
        'print(Config.fromfile("a.py").model.backbone.type)'
    assert run(sys.executable, '-c', code) == 'pss.SlimmableMobileNetV2\n'
    out = run(command, 'space', 'pss_mbv2_imagenet', '--out', 'space.json')
    assert 'subnets: 4.12e+04' in out
    assert (tmp_path / 'space.json').is_file()
