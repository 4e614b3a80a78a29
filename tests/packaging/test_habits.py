"""The files around the code agree with it, and with what reads them."""

import re
import subprocess
import sys

import pytest
import yaml

from pss.version import __version__

from ..paths import ROOT

GITHUB = ROOT / '.github'
WORKFLOWS = sorted((GITHUB / 'workflows').glob('*.yml'))
CONFIG = GITHUB / 'ISSUE_TEMPLATE/config.yml'
SCHEMAS = {
    'vendor.github-workflows': WORKFLOWS,
    'custom.github-workflows-require-timeout': WORKFLOWS,
    'vendor.github-issue-forms':
    sorted({*CONFIG.parent.glob('*.yml')} - {CONFIG}),
    'vendor.github-issue-config': [CONFIG],
    'vendor.citation-file-format': [ROOT / 'CITATION.cff'],
}


@pytest.mark.parametrize('schema', SCHEMAS)
def test_schemas(schema):
    """Oracle: the schemas that check-jsonschema brings along."""
    pytest.importorskip('check_jsonschema')
    assert SCHEMAS[schema]
    done = subprocess.run([
        sys.executable, '-m', 'check_jsonschema', '--builtin-schema', schema,
        *SCHEMAS[schema]
    ],
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout


def test_that_a_wrong_workflow_is_noticed(tmp_path):
    """Oracle: our own, with a key misspelt."""
    pytest.importorskip('check_jsonschema')
    text = WORKFLOWS[0].read_text()
    (tmp_path / 'ci.yml').write_text(text.replace('runs-on', 'run-on'))
    done = subprocess.run([
        sys.executable, '-m', 'check_jsonschema', '--builtin-schema',
        'vendor.github-workflows', tmp_path / 'ci.yml'
    ],
                          capture_output=True,
                          text=True)
    assert done.returncode == 1 and 'runs-on' in done.stdout


def test_version():
    """Oracle: pss/version.py."""
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == __version__
    headings = re.findall(r'^## (\S+)', (ROOT / 'CHANGELOG.md').read_text(),
                          re.M)
    assert [h for h in headings if h != 'Unreleased'][0] == __version__


def test_citation():
    """Oracle: README's entry for BibTeX."""
    text = (ROOT / 'README.md').read_text()
    entry = dict(re.findall(r'^  (\w+) += \{(.+)\}', text, re.M))
    paper = yaml.safe_load(
        (ROOT / 'CITATION.cff').read_text())['preferred-citation']
    names = [
        f'{a["family-names"]}, {a["given-names"]}' for a in paper['authors']
    ]
    assert ' and '.join(names) == entry['author']
    for ours, theirs in dict(
            title='title',
            journal='journal',
            volume='volume',
            issue='number',
            start='pages',
            year='year').items():
        assert str(paper[ours]) == entry[theirs]
