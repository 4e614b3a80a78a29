import pytest

from pss.apis import load_config
from pss.errors import InputError


@pytest.mark.parametrize('text, words', [
    (None, 'no such file'),
    ('model = dict(', 'a.py'),
    ('x = nothing', 'a.py'),
    ('_base_ = ["./a.py"]', 'is one of its own _base_ files'),
    ('x = {{ _base_.y }}', 'is every {{...}} defined'),
    ('', 'expected fields'),
    ('model = 3', 'model=3: expected a dict'),
    ('import sys; sys.exit(3)', 'SystemExit: exit status 3'),
])
def test_bad_config_files(tmp_path, text, words):
    """Oracle: the message names the file."""
    path = tmp_path / 'a.py'
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words):
        load_config(path)
