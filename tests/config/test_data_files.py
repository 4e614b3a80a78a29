import pytest

from pss.cli import verify_config
from pss.errors import InputError


@pytest.mark.parametrize('path, value, message', [
    ('train_dataloader.dataset.dataset.ann_file', 'gone.json',
     "train_dataloader.dataset.dataset.ann_file='gone.json': no such file in "),
    ('train_dataloader.dataset.dataset.data_prefix', dict(img='gone'),
     "data_prefix.img='gone': no such folder in "),
])
def test_data_that_are_not_there(small, path, value, message):
    """Oracle: field, value and what was expected, by hand."""
    with pytest.raises(InputError) as info:
        verify_config(small(path, value))
    assert message in str(info.value)
