"""What the C library does with freed memory."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
from aggan.ops.malloc import retain_freed_memory

class Statistics(ctypes.Structure):  # mallinfo(3)
    _fields_ = [(name, ctypes.c_int) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

libc = ctypes.CDLL(None)
libc.mallinfo.restype, libc.malloc.restype, libc.free.argtypes = Statistics, ctypes.c_void_p, [ctypes.c_void_p]
{setting}
before = libc.mallinfo()
memory = libc.malloc(30 * 2**20)
allocated = libc.mallinfo()
libc.free(memory)
print(allocated.hblks - before.hblks, allocated.arena - libc.mallinfo().arena)
"""
"""Prints how many regions are mapped for 30 MiB, and by how much the heap shrinks when they are freed."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize(("setting", "mapped"), [("assert retain_freed_memory()", 0), ("", 1)])
def test_freed_memory_is_retained(setting, mapped):
    """With `retain_freed_memory` a large tensor comes from the heap, which keeps its size; without, it is mapped."""
    output = subprocess.check_output([sys.executable, "-c", PROGRAM.format(setting=setting)], text=True)
    assert [int(word) for word in output.split()] == [mapped, 0]
