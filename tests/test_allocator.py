"""The system's memory allocator."""

import platform
import subprocess
import sys

import pytest

from .paths import ROOT

COUNT = """
import resource, sys
import numpy as np
if sys.argv[1] == 'keep':
    from pss.allocator import keep_freed_memory
    keep_freed_memory()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

np.ones(1 << 25)
before = faults()
for _ in range(10):
    np.ones(1 << 25)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='is about glibc')
def test_freed_memory_is_kept():
    """Oracle: the kernel's count of pages that were given: 256 MB, ten times,
    as against once and for all."""
    pages = [
        int(
            subprocess.run([sys.executable, '-c', COUNT, word],
                           cwd=ROOT,
                           capture_output=True,
                           text=True,
                           check=True).stdout) for word in ('plain', 'keep')
    ]
    assert pages[0] > 100 * max(pages[1], 1)


HELD = """
import re
from pathlib import Path
import numpy as np
from pss.allocator import keep_freed_memory, release_freed_memory
keep_freed_memory()

def held():
    text = Path('/proc/self/status').read_text()
    return int(re.search(r'VmRSS:\\s+(\\d+)', text)[1]) // 1024

pieces = [np.ones(1 << 17) for _ in range(100)]
last = np.ones(1 << 17)  # what is freed is below it
full = held()
del pieces
kept = held()
release_freed_memory()
print(full, kept, held())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='is about glibc')
def test_freed_memory_is_released():
    """Oracle: the kernel's account, in MiB: 100 are freed, and the process has
    them until it releases them."""
    done = subprocess.run([sys.executable, '-c', HELD],
                          cwd=ROOT,
                          capture_output=True,
                          text=True,
                          check=True)
    full, kept, released = map(int, done.stdout.split())
    assert abs(full - kept) < 5 and 90 < kept - released < 110
