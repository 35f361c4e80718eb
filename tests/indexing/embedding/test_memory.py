import os
import subprocess
import sys

import pytest

from indexing.embedding.protocol import KEEP_FREED_MEMORY

COUNT_FAULTS = """
import ctypes, resource
{before}
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def use():
    block = libc.malloc(50 << 20)
    ctypes.memset(block, 1, 50 << 20)
    libc.free(block)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(before: str = "", **environment: str) -> int:
    program = COUNT_FAULTS.format(before=before)
    cleaned = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    found = subprocess.run(
        [sys.executable, "-c", program], env={**cleaned, **environment}, capture_output=True, text=True, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_a_large_block_is_given_out_again_without_a_new_page() -> None:
    as_it_comes = faults()
    assert as_it_comes > 1000
    assert faults("from indexing.embedding.protocol import keep_freed_memory; keep_freed_memory()") < as_it_comes / 20
    assert faults(**KEEP_FREED_MEMORY) < as_it_comes / 20
