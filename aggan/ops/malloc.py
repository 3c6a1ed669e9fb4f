"""Settings of the C library's memory allocator.

glibc returns the memory of a large tensor to the operating system as soon as the tensor is freed. The next tensor
gets new pages, which the kernel fills with zeros one by one. In a training step that uses 2 GB this takes one
fifteenth of the time.
"""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of `mallopt` (malloc.h)."""
LARGEST, DOCUMENTED_LARGEST = 2**31 - 1, 2**25
"""Thresholds in bytes. glibc 2.36 refuses values above the maximum that mallopt(3) documents."""


def retain_freed_memory() -> bool:
    """Make this process keep freed memory for its next allocations; False if the C library is not glibc."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    raised = mallopt(M_MMAP_THRESHOLD, LARGEST) or mallopt(M_MMAP_THRESHOLD, DOCUMENTED_LARGEST)
    return bool(raised and mallopt(M_TRIM_THRESHOLD, LARGEST))
