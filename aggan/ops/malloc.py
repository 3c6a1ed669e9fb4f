"""How the C library keeps memory.

glibc gives the memory of large tensors back to the system when they are freed, and gets it again for the next ones,
zeroed, page by page: of a training step that needs two gigabytes that is a fifteenth.
"""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's names for what `mallopt` sets (malloc.h)."""
ALL, DOCUMENTED = 2**31 - 1, 2**25
"""Bytes: what is smaller comes from the heap, which keeps so much. 2.36 takes what mallopt(3) documents as too much."""


def keep_memory() -> bool:
    """Let this process keep what it freed for what it needs next; False where the C library is not glibc."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    from_heap = mallopt(_MMAP_THRESHOLD, ALL) or mallopt(_MMAP_THRESHOLD, DOCUMENTED)
    return bool(from_heap and mallopt(_TRIM_THRESHOLD, ALL))
