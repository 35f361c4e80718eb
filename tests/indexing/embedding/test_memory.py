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


KEPT_AND_GIVEN = """
import numpy as np
from indexing.embedding.protocol import give_back_freed_memory, keep_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20

keep_freed_memory()
blocks = [np.ones(1 << 17) for _ in range(200)]  # 1 MB each
held = resident()
del blocks[1::2]
freed = resident()
give_back_freed_memory()
print(held - freed, held - resident())
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")


def printed(program: str, **environment: str) -> str:
    cleaned = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    found = subprocess.run(
        [sys.executable, "-c", program], env={**cleaned, **environment}, capture_output=True, text=True, check=True
    )
    return found.stdout


def faults(before: str = "", **environment: str) -> int:
    return int(printed(COUNT_FAULTS.format(before=before), **environment))


def test_a_large_block_is_given_out_again_without_a_new_page() -> None:
    as_it_comes = faults()
    assert as_it_comes > 1000
    assert faults("from indexing.embedding.protocol import keep_freed_memory; keep_freed_memory()") < as_it_comes / 20
    assert faults(**KEEP_FREED_MEMORY) < as_it_comes / 20


def test_between_two_stages_kept_memory_goes_back_also_from_between_used_blocks() -> None:
    kept, given = map(int, printed(KEPT_AND_GIVEN).split())
    assert kept < 20 and given > 80
