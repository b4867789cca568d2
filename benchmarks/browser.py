"""The runtime in headless Chromium beside onnxruntime-web: `python -m benchmarks.browser`.

Both upscale 480×270 to 1920×1080 by the default network in one worker, frame by frame in turn, with
the same number of threads. The rival runs the dense network's convolutions, its best choice; ours
runs the plan at 25 %, u8 to u8, with chroma and the copy of the frame into its memory. It is given
twice: with the browser's relaxed SIMD, its default, and without; and each in fp32 and coded.

onnxruntime-web comes from npm into a cache folder; without npm, ours is measured alone.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.networks import SHAPES, network
from benchmarks.page import run_page
from kernels.compiler.wire import encode_plan

ROOT = Path(__file__).parents[1]
WEB = ROOT / "client_sdk" / "web"
RIVAL = "onnxruntime-web@1.30.0"
WIDTH, HEIGHT, SCALE, DENSITY = 480, 270, 4, 0.25


def fetch_rival() -> Path | None:
    """The folder of onnxruntime-web's modules, fetched once; None where npm cannot."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "crispcast"
    folder = cache / RIVAL
    modules = folder / "node_modules" / "onnxruntime-web" / "dist"
    if modules.is_dir():
        return modules
    npm = shutil.which("npm")
    if npm is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]
    done = subprocess.run([*command, str(folder), RIVAL], cwd=folder, capture_output=True)
    return modules if done.returncode == 0 and modules.is_dir() else None


def dense_model() -> dict[str, Any]:
    """The rival's network and how many planes it reads."""
    from benchmarks.rivals.onnx_model import to_onnx

    dense = network(SHAPES[1], SCALE, 1.0)
    model = to_onnx(dense, WIDTH, HEIGHT).SerializeToString()
    channels = sum(dense.table.channels[: len(dense.inputs)])
    return {"model": base64.b64encode(model).decode(), "channels": channels}


def measure(threads: int, rounds: int, rival: Path | None) -> dict[str, Any]:
    """Milliseconds of every frame of every engine, and the engines' names."""
    plan, coded = (
        encode_plan(network(SHAPES[1], SCALE, DENSITY, coded=coded)) for coded in (False, True)
    )
    data: dict[str, Any] = {
        "folder": "/web/",
        "plan": base64.b64encode(plan).decode(),
        "coded": base64.b64encode(coded).decode(),
        "width": WIDTH,
        "height": HEIGHT,
        "scale": SCALE,
        "threads": threads,
        "rounds": rounds,
        "warmup": 8,
        **(dense_model() if rival else {}),
    }
    folders = {"web": WEB, "page": Path(__file__).parent}
    if rival:
        folders["ort"] = rival
    answer: dict[str, Any] = run_page("/page/browser_page.mjs", folders, data, timeout=600)
    return answer


def summary(runs: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """The figures by their JSON keys: of coded plans, as experts are by default, unless named."""
    figures: dict[str, Any] = {"cases": []}
    speedups = []
    for threads, answer in runs.items():
        medians = {key: statistics.median(times) for key, times in answer["times"].items()}
        figures[f"wasm_fps_{threads}_fp32"] = 1000 / medians["fused"]
        figures[f"wasm_fps_{threads}_plain_fp32"] = 1000 / medians["plain"]
        figures[f"wasm_fps_{threads}"] = 1000 / medians["codes"]
        figures[f"wasm_fps_{threads}_plain"] = 1000 / medians["plain_codes"]
        if "rival" in medians:
            speedups.append(medians["rival"] / medians["codes"])
        case: dict[str, Any] = {"threads": threads, "median_ms": medians}
        case["fastest_ms"] = {key: min(times) for key, times in answer["times"].items()}
        figures["cases"].append({**case, "names": answer["names"]})
    if speedups:
        figures["wasm_speedup"] = min(speedups)
    return figures


def print_table(figures: dict[str, Any], console: Console) -> None:
    """A row an engine and number of threads."""
    table = Table(title=f"{WIDTH}×{HEIGHT} x{SCALE} in Chromium, milliseconds a frame")
    for column in ("engine", "threads", "median", "fastest", "frames a second"):
        table.add_column(column, justify="left" if column == "engine" else "right")
    for case in figures["cases"]:
        for key, median in case["median_ms"].items():
            fastest = f"{case['fastest_ms'][key]:.1f}"
            cells = [str(case["threads"]), f"{median:.1f}", fastest, f"{1000 / median:.1f}"]
            name = case["names"][key] + (", coded" if key.endswith("codes") else "")
            table.add_row(name, *cells)
    console.print(table)
    load = os.getloadavg()[0]
    console.print(f"cores: {os.cpu_count()}; load of the last minute, ours included: {load:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer frames")
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    console = Console()
    if not (WEB / "crispcast-threads-relaxed.wasm").is_file():
        sys.exit("the modules are not built yet: make wasm")
    rival = fetch_rival()
    if rival is None:
        console.print(f"not measured: {RIVAL}: npm is missing or could not fetch it")
    rounds = 15 if arguments.quick else 60
    figures = summary({threads: measure(threads, rounds, rival) for threads in (1, 2)})
    print_table(figures, console)
    for name, value in figures.items():
        if name != "cases":
            console.print(f"{name}: {value:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
