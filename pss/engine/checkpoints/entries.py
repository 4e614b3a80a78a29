"""Entries that our hooks add to MMEngine's checkpoints."""

POOLS_KEY = 'pss_pools'  # by PSSSamplerHook
PROGRESS_KEY = 'pss_progress'  # by ResumeHook
