import pytest
from mmengine.registry import Registry

from pss.deploy.vocabularies.grammar import (
    Entry,
    Family,
    boolean,
    check_trust,
    choice,
    either,
    integer,
    list_of,
    mapping,
    nothing,
    number,
    optional,
    text,
)
from pss.errors import InputError

PARTS = Registry('part', scope='mmpretrain')
FAMILY = Family(
    PARTS,
    'mmpretrain', {
        'Plain': Entry(),
        'pss.Own': Entry(dict(size=integer(1, 9)), ['size'])
    },
    default='Plain')


@pytest.mark.parametrize('check, accepted, refused', [
    (integer(1, 3), (1, 3), (0, 4, 1., True, '1', None)),
    (number(least=0, below=1), (0, 0.5), (-1, 1, float('nan'), True, '0')),
    (boolean, (True, False), (0, 1, None, 'True')),
    (nothing, (None, ), (0, False, '', [])),
    (choice(False, 2), (False, 2), (0, 2., '2', None)),
    (text(3), ('', 'abc'), ('abcd', 'a\n', b'a', None)),
    (optional(integer()), (None, 1), ('', False)),
    (list_of(integer(), 1, 2), ([1], (1, 2)), ([], [1, 2, 3], ['1'], 1, '12')),
    (either(integer(), nothing), (1, None), ('1', True)),
    (mapping(dict(a=integer()), ['a']), (dict(a=1), ),
     ({}, dict(a='1'), dict(a=1, b=1), [1], None)),
    (FAMILY, ({}, dict(type='Plain'), dict(type='mmpretrain.Plain'),
              dict(type='pss.Own', size=1)),
     (dict(type='Own', size=1), dict(type='pss.Plain'), dict(type='pss.Own'),
      dict(type='pss.Own', size=0), dict(a=1), dict(type='os.system'),
      dict(type=['Plain']), 'Plain', None)),
])
def test_checks(check, accepted, refused):
    """Oracle: by hand; each error is one line that begins with the place."""
    for value in accepted:
        check('here', value, ())
    for value in refused:
        with pytest.raises(InputError, match='^here') as error:
            check('here', value, ())
        assert '\n' not in str(error.value)


def test_trusted_arguments():
    """Oracle: data is accepted; a type that is neither on a list nor trusted is
    refused, at any depth."""

    @PARTS.register_module()
    class Trusted:
        pass

    config = dict(type='Trusted', anything=[dict(deep=[dict(type='Plain')])])
    with pytest.raises(InputError, match="type='Trusted': expected one of"):
        FAMILY('here', config, ())
    trust = [Trusted.__module__]
    FAMILY('here', config, trust)
    config['anything'][0]['deep'][0]['type'] = 'os.system'
    with pytest.raises(
            InputError,
            match=r"here.anything\[0\].deep\[0\]: type='os.system'"):
        FAMILY('here', config, trust)


@pytest.mark.parametrize('trust, words', [
    ('json', 'a list of names'),
    ([1], 'a list of names'),
    (['a b'], 'a list of names'),
    (['nowhere.to.be.found'], 'cannot be imported'),
])
def test_bad_trust(trust, words):
    """Oracle: the value or the name in the message."""
    with pytest.raises(InputError, match=f'trust.*{words}'):
        check_trust(trust)


def test_trust():
    """Oracle: the same names."""
    assert check_trust(['json', 'os.path']) == ['json', 'os.path']
