"""Schedules: functions of the progress of training."""


def exponential_decay(progress: float, start: float, ratio: float) -> float:
    """``start * ratio ** progress``, as the paper's ``p`` and ``t`` decay.

    Args:
        progress: share of training that is done: epoch / epochs, from 0.
        start: value at the beginning (the paper: 1).
        ratio: share of it that is left at the end (the paper: 0.01).
    """
    return start * ratio**progress
