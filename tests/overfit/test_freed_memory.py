"""Steps of training do not ask the system for the same memory again and again."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from overfit.freed_memory import keep_freed_memory

kept = keep_freed_memory() if sys.argv[1] == "kept" else True
torch.set_num_threads(1)
network = torch.nn.Sequential(*[torch.nn.Conv2d(n, 16, 3, padding=1) for n in (1, 16, 16, 16)])
planes = torch.rand(16, 1, 64, 64)
for step in range(60):
    if step == 20:  # the heap has grown by then
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    (network(planes) ** 2).mean().backward()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Pages that the system had to find in 40 steps."""
    command = [sys.executable, "-c", PROGRAM, how]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if told[0] == "0":
        pytest.skip("the C library is none that could keep it")
    return int(told[1])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' C libraries do otherwise")
def test_what_a_step_frees_is_there_for_the_next() -> None:
    assert faults("kept") < 10_000  # it was 200 000
