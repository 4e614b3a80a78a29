"""Closed vocabularies: everything that a bank's configs may contain.

MMEngine's registries build whatever a config names and import unknown types by
their path; many OpenMMLab classes open files, fetch URLs or call functions
named by their arguments. A config that comes from a file is therefore checked
before any registry sees it: classes, their keys and the values of these keys
are all listed, and anything else is refused. A class that is on no list is
possible only if the reader trusts, by name, the package that defines it.

========================  ====================================================
:mod:`.grammar`           what the lists are written in: checks, entries,
                          families of classes; trust
:mod:`.values`            ranges that several lists share
:mod:`.backbones`         layers and backbones, for both tasks
:mod:`.steps`             preprocessing steps, for both tasks
:mod:`.classifiers`       networks of classifiers and their preprocessing
:mod:`.detectors`         MMDetection's networks and their preprocessing;
                          :mod:`.detector_parts` has their layers and heads
:mod:`.testing`           dataloaders and evaluators of exported networks
:mod:`.stripping`         configs without what a bank need not keep
========================  ====================================================
"""

from typing import Any

from .classifiers import check_classifier, check_pipeline
from .detectors import check_detector, check_detector_pipeline, is_detector
from .grammar import Trust, check_trust
from .testing import check_testing

__all__ = [
    'Trust', 'check_testing', 'check_trust', 'check_types', 'is_detector'
]


def check_types(model: Any, pipeline: Any, where: str,
                trust: Trust = ()) -> None:
    """Refuses a model or a preprocessing that is not on the lists.

    Args:
        model: config of a supernet, a classifier or a detector.
        pipeline: configs of the steps from an image file to its input.
        where: the file or config they are in, for the message.
        trust: packages whose registered classes are allowed as well; they
            have been imported.

    Raises:
        InputError: it names the field, its value and what was expected.
    """
    if is_detector(model):
        check_detector(model, where, trust)
        check_detector_pipeline(pipeline, where, trust)
    else:
        check_classifier(model, where, trust)
        check_pipeline(pipeline, where, trust)
