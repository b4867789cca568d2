"""PyTorch (oneDNN): fp32, channels-last, frozen and traced."""

from __future__ import annotations

from benchmarks.rivals import Float, Run
from kernels.plan import Activation, PlanIR

NAME = "torch"
PRECISIONS = ("fp32",)


def version() -> str:
    """The installed version."""
    import torch

    return str(torch.__version__)


def prepare(network: PlanIR, planes: Float, threads: int, precision: str) -> Run:
    """A frozen, traced module optimised for inference."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    table = network.table

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for index, numbers in enumerate(network.numbers):
                self.register_buffer(f"weight_{index}", torch.from_numpy(numbers.dequantised()))
                self.register_buffer(f"bias_{index}", torch.from_numpy(numbers.bias).float())
                slopes = torch.from_numpy(numbers.activation).float()
                self.register_buffer(f"activation_{index}", slopes)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            channels = [table.channels[index] for index in range(len(table.inputs))]
            values = list(torch.split(batch, channels, 1))
            for index, layer in enumerate(table.layers):
                x = torch.cat([values[v] for v in layer.sources], 1)
                weight, bias = getattr(self, f"weight_{index}"), getattr(self, f"bias_{index}")
                x = F.conv2d(x, weight, bias, padding=layer.kernel // 2)
                if layer.residual is not None and not layer.residual_after:
                    x = x + values[layer.residual]
                numbers = getattr(self, f"activation_{index}")
                if layer.activation is Activation.RELU:
                    x = F.relu(x)
                elif layer.activation is Activation.PRELU:
                    x = F.prelu(x, numbers)
                elif layer.activation is Activation.CLIP:
                    x = x.clamp(float(numbers[0]), float(numbers[1]))
                if layer.residual is not None and layer.residual_after:
                    x = x + values[layer.residual]
                values.append(x)
            return F.pixel_shuffle(values[-1], table.scale)

    batch = torch.from_numpy(planes[None]).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        trace = torch.jit.trace(Network().eval(), batch)  # type: ignore[no-untyped-call]
        traced = torch.jit.optimize_for_inference(trace)

    def run() -> Float:
        with torch.inference_mode():
            return traced(batch)[0, 0].numpy()  # type: ignore[no-any-return]

    return run
