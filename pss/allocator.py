"""The system's memory allocator."""

import contextlib
import ctypes


def keep_freed_memory() -> None:
    """Makes glibc, where there is one, keep freed memory for reuse.

    Otherwise the memory of activations goes back to the system and is requested
    again in every iteration. A training on a CPU takes about a sixth longer,
    and single blocks up to 60 %.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: no separate maps for large pieces
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: never shrink


def release_freed_memory() -> None:
    """Makes glibc, where there is one, give memory that is free now back to the
    system."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
