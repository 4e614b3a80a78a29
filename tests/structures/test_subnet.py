import pytest

from pss.errors import InputError
from pss.structures import Subnet


def test_dict_round_trip():
    """Oracle: the two keys that files hold."""
    subnet = Subnet(192, (24, 16))
    assert subnet.as_dict() == {'resolution': 192, 'widths': [24, 16]}
    assert Subnet.from_dict(subnet.as_dict()) == subnet
    assert hash(Subnet.from_dict(subnet.as_dict())) == hash(subnet)


@pytest.mark.parametrize('fields, words', [
    ({
        'resolution': 192
    }, ["'widths'", 'missing']),
    ({
        'resolution': 192,
        'widths': [8],
        'width': 1
    }, ["'width'", 'resolution, widths']),
    ({
        'resolution': 192.0,
        'widths': [8]
    }, ['resolution', '192.0']),
    ({
        'resolution': True,
        'widths': [8]
    }, ['resolution', 'True']),
    ({
        'resolution': 192,
        'widths': ['8']
    }, ['widths', "'8'"]),
    ({
        'resolution': 192,
        'widths': '8'
    }, ['widths', "'8'"]),
    ([192, [8]], ['resolution and widths']),
])
def test_bad_fields_are_named(fields, words):
    """Oracle: the field and its value in the message."""
    with pytest.raises(InputError) as error:
        Subnet.from_dict(fields)
    assert all(word in str(error.value) for word in words)
