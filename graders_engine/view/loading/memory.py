"""Where the memory of large arrays goes when they are not needed any more."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_MMAP_THRESHOLD = -3
"""glibc's `M_MMAP_THRESHOLD` (malloc.h)."""
_LARGE_BYTES = 8 << 20


def return_large_blocks() -> None:
    """Have this process give large blocks back to the system as soon as they are free.

    glibc otherwise takes ever larger ones from its heaps, which keep what lies below a block in use: with a
    run of 1,000,000 rows a third of the memory. Where there is no glibc, nothing is done.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
