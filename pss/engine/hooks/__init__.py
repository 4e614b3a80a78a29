"""Hooks of MMEngine's Runner."""

from .pss_sampler_hook import PSSSamplerHook
from .resumable_log_hook import ResumableLogHook

__all__ = ['PSSSamplerHook', 'ResumableLogHook']
