"""What the C library does with memory that is given back."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import ctypes
from aggan.ops.malloc import keep_memory

class Counts(ctypes.Structure):  # mallinfo(3)
    _fields_ = [(name, ctypes.c_int) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

libc = ctypes.CDLL(None)
libc.mallinfo.restype, libc.malloc.restype, libc.free.argtypes = Counts, ctypes.c_void_p, [ctypes.c_void_p]
{keep}
before = libc.mallinfo()
memory = libc.malloc(30 * 2**20)
taken = libc.mallinfo()
libc.free(memory)
print(taken.hblks - before.hblks, taken.arena - libc.mallinfo().arena)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize(("keep", "mapped"), [("assert keep_memory()", 0), ("", 1)])
def test_memory_given_back_is_kept(keep, mapped):
    """With `keep_memory` a large tensor's memory comes from the heap and stays there; without, it is mapped."""
    counted = subprocess.check_output([sys.executable, "-c", COUNT.format(keep=keep)], text=True)
    assert [int(word) for word in counted.split()] == [mapped, 0]
