"""What a training step costs in each memory layout: `python -m benchmarks.training_layout`.

Prints the processor time, in milliseconds, of one forward and backward pass of the default network
over three windows of 112x112 LR pixels, on one thread.
"""

import time

import torch

from overfit.networks import NetworkConfig, build

STEPS = 10


def milliseconds(units: int, layout: torch.memory_format) -> float:
    """Processor time of a step."""
    torch.manual_seed(0)
    expert = build(NetworkConfig(units=units))
    expert.to(memory_format=layout)  # type: ignore[call-overload]
    luma, target = torch.randn(3, 1, 112, 112), torch.randn(3, 1, 224, 224)
    begun = 0.0
    for step in range(STEPS + 3):
        if step == 3:  # The first steps also choose and build the kernels.
            begun = time.process_time()
        (expert(luma, luma) - target).square().mean().backward()
    return (time.process_time() - begun) / STEPS * 1e3


def main() -> None:
    torch.set_num_threads(1)
    for units in (8, 16):
        for layout in (torch.contiguous_format, torch.channels_last):
            print(f"{units} units, {layout}: {milliseconds(units, layout):.0f} ms")


if __name__ == "__main__":
    main()
