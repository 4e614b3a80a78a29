"""Hooks of MMEngine's Runner."""

from .pss_sampler_hook import PSSSamplerHook
from .resume_hook import ResumeHook

__all__ = ['PSSSamplerHook', 'ResumeHook']
