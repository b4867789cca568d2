"""What a training step costs in each memory layout: `python -m benchmarks.training_layout`.

Prints the processor time, in milliseconds, of one forward and backward pass of the default network
over three windows of 112x112 LR pixels, on one thread; then of one with gradients of our own, where
this processor is one for which they pay. It is the median of ways that take turns.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from overfit import gradients
from overfit.freed_memory import keep_freed_memory
from overfit.networks import NetworkConfig, build

STEPS = 15
LAYOUTS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


def steps(units: int) -> dict[str, Callable[[], None]]:
    """A step of each way."""
    torch.manual_seed(0)
    luma, target = torch.randn(3, 1, 112, 112), torch.randn(3, 1, 224, 224)

    def step_of(layout: torch.memory_format, own: bool) -> Callable[[], None]:
        expert = build(NetworkConfig(units=units))
        expert.to(memory_format=layout)  # type: ignore[call-overload]
        if own:
            gradients.take(expert)
        return lambda: (expert(luma, luma) - target).square().mean().backward()

    ways = {name: step_of(layout, own=False) for name, layout in LAYOUTS.items()}
    if gradients.pay():
        ways["channels last, own gradients"] = step_of(torch.channels_last, own=True)
    return ways


def milliseconds(ways: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Processor time of a step of each."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(STEPS + 3):
        for name, step in ways.items():
            begun = time.process_time()
            step()
            if turn >= 3:  # The first steps also choose and build the kernels.
                times[name].append(time.process_time() - begun)
    return {name: median(spent) * 1e3 for name, spent in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the same: it takes half a minute")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    found = {units: milliseconds(steps(units)) for units in (8, 16)}
    for units, ways in found.items():
        for name, spent in ways.items():
            print(f"{units} units, {name}: {spent:.0f} ms")
    if options.json is not None:
        options.json.write_text(json.dumps({"step_ms": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
