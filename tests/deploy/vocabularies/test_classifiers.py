from mmengine.registry import DefaultScope

from pss.deploy.vocabularies import classifiers
from pss.deploy.vocabularies.grammar import Family


def test_lists_name_what_there_is():
    """Oracle: MMEngine's registries, for every class on the lists."""
    for family in vars(classifiers).values():
        if isinstance(family, Family):
            for name in family.entries:
                with DefaultScope.overwrite_default_scope('mmpretrain'):
                    assert family.registry.get(name) is not None, name
