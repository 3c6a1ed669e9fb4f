"""How the C library keeps memory.

glibc gives the memory of large tensors back to the system when they are freed, and gets it again for the next ones,
zeroed, page by page: of a training step that needs two gigabytes that is a fifteenth.
"""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's names for what `mallopt` sets (malloc.h)."""
LARGEST, KEPT = 2**25, 2**31 - 1
"""Bytes: smaller tensors come from the heap (glibc takes no more than 32 MB), and it keeps so much."""


def keep_memory() -> bool:
    """Let this process keep what it freed for what it needs next; False where the C library is not glibc."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST) and mallopt(_TRIM_THRESHOLD, KEPT))
