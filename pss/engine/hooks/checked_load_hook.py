"""Stands in for the hook that checks what a runner loads."""

from mmengine.hooks import Hook


class CheckedLoadHook(Hook):
    """Does nothing yet."""
