import pytest

from pss.cli import verify_config
from pss.errors import InputError


@pytest.mark.parametrize('path, value, message', [
    ('custom_imports.imports', ['pss', 'no_such'],
     "custom_imports: 'no_such' cannot be imported (ModuleNotFoundError"),
])
def test_modules_that_cannot_be_imported(small, path, value, message):
    """Oracle: field, value and what was expected, by hand."""
    with pytest.raises(InputError) as info:
        verify_config(small(path, value))
    assert message in str(info.value)
