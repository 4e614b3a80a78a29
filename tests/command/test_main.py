"""The command's own part: help, configs, mistakes."""

import subprocess
import sys

import pytest

from pss.apis import load_config
from pss.version import __version__
from pss_command.commands import TOOLS
from pss_command.main import main

from ..paths import ROOT


def test_help(capsys):
    """Oracle: all commands."""
    main(['--help'])
    out = capsys.readouterr().out
    assert [
        line.split()[0] for line in out.splitlines() if line.startswith('  ')
    ] == ['configs', 'config', *TOOLS]
    main([])
    assert capsys.readouterr().out == out
    main(['configs', '-h'])
    assert 'pss configs [PATTERN]' in capsys.readouterr().out


def test_version(capsys):
    """Oracle: the package's."""
    main(['--version'])
    assert capsys.readouterr().out == f'pss-net {__version__}\n'


@pytest.mark.parametrize(
    'words', [['--help'], ['configs'], ['config', 'pss_mbv2_imagenet']])
def test_that_it_starts_at_once(words):
    """Oracle: the modules that were imported; none is torch or this package,
    which would take seconds."""
    code = 'import sys; from pss_command.main import main; main(); ' \
        'print({m.split(".")[0] for m in sys.modules}, file=sys.stderr)'
    done = subprocess.run([sys.executable, '-c', code, *words],
                          capture_output=True,
                          text=True,
                          cwd=ROOT,
                          check=True)
    imported = set(eval(done.stderr))
    assert 'pss_command' in imported
    assert not {'pss', 'torch', 'mmengine', 'numpy'} & imported


def lines_of(capsys, *words):
    main(['configs', *words])
    return [
        line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()
    ]


def test_configs(capsys):
    """Oracle: the files and their first lines."""
    names = [name for name, _ in lines_of(capsys)]
    files = [
        path.relative_to(ROOT / 'configs').as_posix()[:-3]
        for path in (ROOT / 'configs').rglob('*.py')
        if '_base_' not in path.parts
    ]
    assert names == sorted(files)
    assert all(
        name.startswith('detection/')
        for name, _ in lines_of(capsys, 'detection'))
    assert lines_of(capsys, 'pss_mbv[1]_imagenet') == [[
        'pss_mbv1_imagenet',
        'PSS-Net, MobileNetV1, variant F: a pool for every 10 MFLOPs.'
    ]]


@pytest.mark.parametrize(
    'name',
    ['pss_mbv2_imagenet', 'pss_mbv2_imagenet_multi', 'pss_mbv2_fashion_mnist'])
def test_config(name, capsys, tmp_path, monkeypatch):
    """Oracle: the config itself: the text, saved elsewhere, has its fields;
    only its bases are written otherwise."""
    main(['config', name])
    text = capsys.readouterr().out
    path = tmp_path / f'{name}.py'
    path.write_text(text)
    monkeypatch.chdir(tmp_path)
    original = ROOT / 'configs' / f'{name}.py'
    assert load_config(path).to_dict() == load_config(original).to_dict()
    changed = [
        line for line, old in zip(text.splitlines(),
                                  original.read_text().splitlines())
        if line != old
    ]
    assert changed and all(str(ROOT) in line for line in changed)


def test_config_with_bases_of_another_package(capsys, tmp_path):
    """Oracle: only the relative path changes, after characters of more than one
    byte too."""
    path = tmp_path / 'a.py'
    path.write_text(
        "_base_ = ['mmdet::ä.py', 'ä/b.py', \"c.py\"]\nx = 'b.py'\n")
    main(['config', str(path)])
    assert capsys.readouterr().out == (
        f"_base_ = ['mmdet::ä.py', '{tmp_path}/ä/b.py', '{tmp_path}/c.py']\n"
        "x = 'b.py'\n")


@pytest.mark.parametrize('words, expected', [
    (['trian'], "command 'trian': expected one of those that `pss --help` "
     "lists; the nearest is 'train'"),
    (['\x1b[31m'], "command '\\x1b[31m': expected one of"),
    (['configs', 'a', 'b'], 'configs: 2 patterns; expected at most one'),
    (['configs', 'nothing'], "configs: pattern 'nothing': expected part of"),
    (['config'], 'config: 0 arguments; expected the name of one config'),
    (['config', 'pss_mvb2_imagenet'], "config 'pss_mvb2_imagenet': expected a "
     'file, or one that `pss configs` lists; the nearest is '
     'pss_mbv2_imagenet'),
    (['config', 300 * 'x'], 'expected a file'),
    (['config', 'a\0b'], 'expected a file'),
    (['config', 'broken.py'], "config 'broken.py': expected a config in "
     'Python'),
    (['config', 'latin.py'], "config 'latin.py': expected a config in Python"),
])
def test_mistakes(words, expected, capsys, tmp_path, monkeypatch):
    """Oracle: status 2, and one line that names the value and what was
    expected."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'broken.py').write_text('model = dict(')
    (tmp_path / 'latin.py').write_bytes('# ä'.encode('latin-1'))
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ''
    line, = captured.err.splitlines()
    assert line.startswith('pss: error: ') and expected in line
    assert line.isprintable()


def test_closed_pipe():
    """Oracle: as `head` does; no traceback."""
    done = subprocess.run(
        f'{sys.executable} -m pss_command configs | true; '
        'exit ${PIPESTATUS[0]}',
        shell=True,
        executable='/bin/bash',
        cwd=ROOT,
        capture_output=True,
        text=True)
    assert done.returncode in (0, 141)
    assert 'Traceback' not in done.stderr
