"""ncnn, CPU: fp32, and its fp16/bf16 storage options where they help."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.rivals import Float, Run, reads_single_planes
from kernels.plan import Activation, PlanIR

NAME = "ncnn"
PRECISIONS = ("fp32", "bf16")


def version() -> str:
    """The installed version."""
    import ncnn

    return str(ncnn.__version__)


def _param_and_bin(network: PlanIR) -> tuple[str, bytes]:
    """The network in ncnn's own two files, text and weights.

    ncnn wants a Split layer wherever a value is read more than once.
    """
    table = network.table
    total = sum(table.channels[index] for index in range(len(table.inputs)))
    rows: list[tuple[str, str, list[str], list[str], str]] = []
    rows.append(("Input", "planes", [], ["planes"], ""))
    values = ["planes"]
    everything = tuple(range(len(table.inputs)))
    if len(everything) > 1 and reads_single_planes(network):
        values = [f"in{index}" for index in range(len(table.inputs))]
        sizes = ",".join(str(table.channels[index]) for index in range(len(table.inputs)))
        rows.append(("Slice", "slice", ["planes"], values, f"-23300={len(values)},{sizes} 1=0"))
    elif len(everything) > 1:
        values = ["" for _ in everything]
    blob = b""
    for index, (layer, numbers) in enumerate(zip(table.layers, network.numbers, strict=True)):
        if layer.sources == everything:
            source, cin = "planes", total
        else:
            source, cin = values[layer.sources[0]], table.input_channels(index)
            if len(layer.sources) > 1:
                source = f"cat{index}"
                rows.append(("Concat", source, [values[v] for v in layer.sources], [source], "0=0"))
        size = layer.cout * cin * layer.kernel**2
        fused = layer.activation is Activation.RELU and layer.residual is None
        row = f"0={layer.cout} 1={layer.kernel} 4={layer.kernel // 2} 5=1 6={size}"
        current = f"conv{index}"
        rows.append(("Convolution", current, [source], [current], row + (" 9=1" if fused else "")))
        blob += np.zeros(1, np.int32).tobytes() + numbers.dequantised().tobytes()
        blob += numbers.bias.astype(np.float32).tobytes()

        def residual(current: str, index: int = index, value: int | None = None) -> str:
            if value is None:
                return current
            name = f"sum{index}"
            rows.append(("BinaryOp", name, [current, values[value]], [name], "0=0"))
            return name

        if not layer.residual_after:
            current = residual(current, value=layer.residual)
        if layer.activation is not Activation.NONE and not fused:
            name = f"act{index}"
            if layer.activation is Activation.RELU:
                rows.append(("ReLU", name, [current], [name], ""))
            elif layer.activation is Activation.PRELU:
                rows.append(("PReLU", name, [current], [name], f"0={layer.cout}"))
                blob += numbers.activation.astype(np.float32).tobytes()
            else:
                low, high = (float(value) for value in numbers.activation)
                rows.append(("Clip", name, [current], [name], f"0={low} 1={high}"))
            current = name
        if layer.residual_after:
            current = residual(current, value=layer.residual)
        values.append(current)
    rows.append(("PixelShuffle", "hr", [values[-1]], ["hr"], f"0={table.scale}"))
    return _with_splits(rows), blob


def _with_splits(rows: list[tuple[str, str, list[str], list[str], str]]) -> str:
    reads: dict[str, int] = {}
    for _, _, sources, _, _ in rows:
        for source in sources:
            reads[source] = reads.get(source, 0) + 1
    lines: list[str] = []
    blobs = 0
    seen: dict[str, int] = {}
    for kind, name, sources, targets, row in rows:
        renamed = []
        for source in sources:
            if reads[source] > 1:
                renamed.append(f"{source}_{seen.get(source, 0)}")
                seen[source] = seen.get(source, 0) + 1
            else:
                renamed.append(source)
        ends = " ".join([*renamed, *targets])
        lines.append(f"{kind} {name} {len(sources)} {len(targets)} {ends} {row}".rstrip())
        blobs += len(targets)
        for target in targets:
            if (count := reads.get(target, 0)) > 1:
                copies = " ".join(f"{target}_{copy}" for copy in range(count))
                lines.append(f"Split split_{target} 1 {count} {target} {copies}")
                blobs += count
    return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines]) + "\n"


def prepare(network: PlanIR, planes: Float, threads: int, precision: str) -> Run:
    """A net with Winograd, SGEMM and packing on, written in ncnn's own format."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    net.opt.use_winograd_convolution = True
    net.opt.use_sgemm_convolution = True
    net.opt.use_packing_layout = True
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = precision == "bf16"
    param, weights = _param_and_bin(network)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "net.param").write_text(param)
        (Path(folder) / "net.bin").write_bytes(weights)
        if net.load_param(f"{folder}/net.param") or net.load_model(f"{folder}/net.bin"):
            raise RuntimeError("ncnn refused the network")
    source = ncnn.Mat(np.ascontiguousarray(planes)).clone()

    def run() -> Float:
        extractor = net.create_extractor()
        extractor.input("planes", source)
        _, output = extractor.extract("hr")
        return np.asarray(output)[0]  # type: ignore[no-any-return]

    run.net = net  # type: ignore[attr-defined]  # keeps the net alive as long as its runner
    return run
