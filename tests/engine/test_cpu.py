"""Memory of a process that computes without a GPU."""
import os
import platform
import subprocess
import sys

import pytest

#: Prints how many pages were fetched for eight tensors of 64 MiB, one after the other.
FAULTS = '''
import resource, sys, torch
from mmups.engine.cpu import keep_freed_memory
if 'keep' in sys.argv:
    keep_freed_memory()
torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
'''


def faults(*words, **environment):
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', FAULTS, *words], check=True,
                          capture_output=True, text=True, env={**os.environ, **environment})
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason="it is glibc's malloc that is set")
def test_freed_memory_is_used_again(monkeypatch):
    for name in [name for name in os.environ if name.startswith(('MALLOC_', 'GLIBC_TUNABLES'))]:
        monkeypatch.delenv(name)
    fresh = faults()
    assert fresh > 8 * 8  # pages may be of 2 MiB, of which there are 32 in a tensor
    assert faults('keep') < fresh / 8
    assert faults('keep', MALLOC_TOP_PAD_='131072') > fresh / 2  # the user's settings count
