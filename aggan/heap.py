"""How the C library keeps memory.

glibc gives the memory of large tensors back to the system when they are freed, and gets it again for the next ones,
zeroed, page by page of 4 KB: a training step that needs two gigabytes spends a fifth of its time so.
"""

import ctypes
import os
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's names for what `mallopt` sets (malloc.h)."""
LARGEST = 2**31 - 1
"""Bytes: what is smaller comes from the heap, and the heap keeps it."""


def keep_memory() -> bool:
    """Let this process keep what it freed for what it needs next, in pages of 2 MB where the system has them.

    To be called before torch makes its first tensor: later it does not ask for large pages any more. False where the C
    library is not glibc, and nothing is done.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch asks for large pages, as it is told here
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST) and mallopt(_TRIM_THRESHOLD, LARGEST))
