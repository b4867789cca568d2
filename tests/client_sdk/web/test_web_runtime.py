"""The runtime in Node and in Chromium gives what the native one gives, and refuses alike."""

from __future__ import annotations

import base64
import shutil
import struct
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kernels import runtime
from kernels.chroma import shrink
from kernels.compiler import encode_plan
from kernels.errors import PlanError
from kernels.plan import Activation, PlanIR, PlanTable
from tests.client_sdk.web.conftest import Run, in_node, in_page
from tests.kernels.plans import codes_everywhere, every_branch, moved, plan_for, spec

Plane = npt.NDArray[np.uint8]
Call = dict[str, Any]
ALL_HOSTS = [(1, False), (2, False), (3, False), (1, True), (2, True)]


def text(data: bytes | Plane) -> str:
    return base64.b64encode(bytes(data) if isinstance(data, bytes) else data.tobytes()).decode()


def planes(width: int, height: int, seed: int = 0) -> tuple[Plane, Plane, Plane]:
    rng = np.random.default_rng(seed)
    small = (height + 1) // 2, (width + 1) // 2
    y, u, v = (rng.integers(0, 256, s, dtype=np.uint8) for s in ((height, width), small, small))
    return y, u, v


def network(scale: int, seed: int = 0, width: int = 12) -> bytes:
    """Luma, previous and plate through blocks of 1, 4 and 8."""
    table = PlanTable(
        scale,
        ("luma", "previous", "plate"),
        True,
        (
            spec(scale**2, 0, kernel=5, block=1),
            spec(width, 0, 1, 2),
            spec(2 * width, 4, activation=Activation.RELU),
            spec(width, 5, block=8, residual=4),
            spec(scale**2, 6, residual=3, after=True),
        ),
    )
    return encode_plan(plan_for(table, seed, density=0.4))


def call(lr: tuple[Plane, Plane, Plane], scale: int, **more: Any) -> Call:
    y, u, v = lr
    height, width = y.shape
    picture = {"y": text(y), "u": text(u), "v": text(v), "width": width, "height": height}
    return {**picture, "scale": scale, **more}


def largest_difference(answer: Call, wanted: tuple[Plane, Plane, Plane]) -> int:
    assert "error" not in answer, answer
    assert (answer["height"], answer["width"]) == wanted[0].shape
    worst = 0
    for name, plane in zip("yuv", wanted, strict=True):
        there = np.frombuffer(base64.b64decode(answer[name]), np.uint8).reshape(plane.shape)
        worst = max(worst, int(np.abs(there.astype(int) - plane).max()))
    return worst


def test_the_same_picture_as_the_native_portable_engine(host: Run) -> None:
    engine = runtime.Engine(1, "portable")
    calls, wanted = [], []
    for scale, (width, height) in ((2, (67, 41)), (3, (300, 33)), (4, (64, 45)), (2, (1, 1))):
        lr, previous = planes(width, height), planes(width, height, 1)[0]
        plate = np.random.default_rng(2).integers(0, 256, (scale * height, scale * width), "u1")
        wires = [network(scale, 1), network(scale, 2)]
        middle = width // 2
        patches = [0, 0, middle, height, 2, middle, 0, width - middle, height, 1]
        if middle == 0:
            patches = [0, 0, 1, 1, 1]
        prepared = [runtime.Plan(wire) for wire in wires]
        given = {"plans": [text(wire) for wire in wires]}
        full = {**given, "previous": text(previous), "plate": text(plate), "patches": patches}
        calls += [call(lr, scale), call(lr, scale, **given), call(lr, scale, **full)]
        calls += [call(lr, scale, **full, inPlace=True)]
        whole = np.array(patches, np.int32).reshape(-1, 5)
        with_all = engine.upscale(
            lr,
            scale,
            plans=prepared,
            patches=whole,
            previous=previous,
            plate=runtime.Plate(plate, scale),
        )
        wanted += [engine.upscale(lr, scale), engine.upscale(lr, scale, plans=prepared)]
        wanted += [with_all, with_all]
    cases = [{"threads": t, "relaxed": r, "calls": calls} for t, r in ALL_HOSTS]
    for case, answer in zip(cases, host(cases), strict=True):
        assert answer["threads"] == case["threads"]
        worst = [largest_difference(a, w) for a, w in zip(answer["results"], wanted, strict=True)]
        assert max(worst) <= (0 if answer["isa"] == "wasm" else 1), worst
        assert answer["isa"].startswith("wasm")


def test_canvases_are_seen_through_views_as_by_the_native_engine(host: Run) -> None:
    lr, luma = planes(67, 41), planes(211, 130, 3)[0]
    wire = network(2)
    plan, engine = runtime.Plan(wire), runtime.Engine(1, "portable")
    corners = np.array([(3, 5), (150, 9), (160, 101), (-20, 90)])
    views = [(corners * 16).ravel(), (corners * 16 + 2000).ravel()]
    given = {"plans": [text(wire)], "canvas": text(luma), "canvasSize": (211, 130)}
    calls = [call(lr, 2, **given, view=view.tolist()) for view in views]
    wanted = [
        engine.upscale(lr, 2, plans=[plan], canvas=runtime.Canvas(luma), view=view.astype(np.int32))
        for view in views
    ]
    calls += [call(lr, 2, **given), call(lr, 2, **given, view=[0] * 8)]
    [answer] = host([{"threads": 1, "relaxed": False, "calls": calls}])
    *right, without, flat = answer["results"]
    assert [largest_difference(a, w) for a, w in zip(right, wanted, strict=True)] == [0, 0]
    assert "eight numbers" in without["error"]["message"]
    assert "view" in flat["error"]["message"]


def test_codes_give_the_bits_of_the_native_engine(host: Run) -> None:
    # Without a base to interpolate, whose multiply-adds may be fused, nothing may differ at all.
    coded = codes_everywhere()
    wire = encode_plan(PlanIR(replace(coded.table, bicubic=False), coded.numbers))
    lr, previous = planes(131, 61), planes(131, 61, 1)[0]
    plate = np.random.default_rng(2).integers(0, 256, (122, 262), "u1")
    wanted = runtime.Engine(1, "portable").upscale(
        lr, 2, plans=[runtime.Plan(wire)], previous=previous, plate=runtime.Plate(plate, 2)
    )
    given = call(lr, 2, plans=[text(wire)], previous=text(previous), plate=text(plate))
    cases = [{"threads": t, "relaxed": r, "calls": [given]} for t, r in ALL_HOSTS]
    for answer in host(cases):
        found = np.frombuffer(base64.b64decode(answer["results"][0]["y"]), np.uint8)
        assert np.array_equal(found.reshape(wanted[0].shape), wanted[0]), answer["isa"]


def test_a_chroma_plate_mends_the_same_pictures(host: Run) -> None:
    engine = runtime.Engine(1, "portable")
    calls, wanted = [], []
    for scale, (width, height) in ((1, (40, 24)), (2, (67, 41)), (3, (30, 50)), (4, (64, 45))):
        half = (scale * ((height + 1) // 2), scale * ((width + 1) // 2))
        u, v = (np.random.default_rng(n).integers(16, 32, half, np.uint8) for n in (1, 2))
        lr = planes(width, height)
        lr = (lr[0], shrink(u, scale) + lr[1] % 8, shrink(v, scale) + lr[2] % 8)
        for tolerance in (30, 60):
            chroma = {"planes": [text(u), text(v)], "tolerance": tolerance}
            calls.append(call(lr, scale, chroma=chroma))
            plate = runtime.ChromaPlate(u, v, scale, tolerance)
            wanted.append(engine.upscale(lr, scale, chroma=plate))
            assert not np.array_equal(wanted[-1][1], engine.upscale(lr, scale)[1])
    cases = [{"threads": t, "relaxed": r, "calls": calls} for t, r in ALL_HOSTS]
    for answer in host(cases):
        worst = [largest_difference(a, w) for a, w in zip(answer["results"], wanted, strict=True)]
        assert max(worst) <= (0 if answer["isa"] == "wasm" else 1), worst


def test_a_difference_to_a_base_is_the_plan_it_stands_for(host: Run) -> None:
    plan, base = moved(codes_everywhere()), encode_plan(codes_everywhere())
    lr = planes(67, 41)
    wanted = runtime.Engine(1, "portable").upscale(lr, 2, plans=[runtime.Plan(encode_plan(plan))])
    wires = [text(encode_plan(plan, base))]
    calls = [call(lr, 2, plans=wires, base=text(base)), call(lr, 2, plans=wires)]
    [answer] = host([{"threads": 1, "relaxed": False, "calls": calls}])
    assert largest_difference(answer["results"][0], wanted) == 0
    assert answer["results"][1]["error"]["status"] == 44


def test_its_own_last_result_is_a_picture_like_another(host: Run) -> None:
    engine = runtime.Engine(1, "portable")
    calls, wanted = [], []
    for scale in (1, 2):
        wire = network(scale)
        made = engine.upscale(planes(67, 41), scale, plans=[runtime.Plan(wire)])
        for _ in range(2):
            made = engine.upscale(made, scale, plans=[runtime.Plan(wire)], previous=made[0])
        calls.append(call(planes(67, 41), scale, plans=[text(wire)], again=2))
        wanted.append(made)
    cases = [{"threads": t, "relaxed": False, "calls": calls} for t in (1, 3)]
    for answer in host(cases):
        for result, right in zip(answer["results"], wanted, strict=True):
            assert largest_difference(result, right) == 0


def test_threads_never_change_a_bit(host: Run) -> None:
    width, height = 301, 83
    given = call(planes(width, height), 2, plans=[text(network(2, width=40))])
    cases = [
        {"threads": threads, "relaxed": relaxed, "calls": [given] * 3}
        for relaxed in (False, True)
        for threads in (1, 2, 3)
    ]
    answers = [answer["results"] for answer in host(cases)]
    for same in (answers[:3], answers[3:]):
        for results in same:
            assert all(result["y"] == same[0][0]["y"] for result in results)


def test_rows_with_gaps_are_read_as_such(host: Run) -> None:
    y, u, v = planes(45, 21)
    gaps = [np.pad(p, ((0, 0), (0, gap))) for p, gap in ((y, 3), (u, 9), (v, 1))]
    strides = {f"stride{n}": p.shape[1] for n, p in zip("YUV", gaps, strict=True)}
    loose = {**call((y, u, v), 2), **strides}
    for name, plane in zip("yuv", gaps, strict=True):
        loose[name] = text(plane)
    calls = [call((y, u, v), 2), loose]
    (answer,) = host([{"threads": 1, "relaxed": False, "calls": calls}])
    assert answer["results"][0] == answer["results"][1]


def hostile() -> list[bytes]:
    """Plans cut off, flipped, and wrong under a right checksum."""
    wire = encode_plan(every_branch())
    rng = np.random.default_rng(0)
    lies = [b"", b"CCPL", bytes(64), wire[:-1], wire + b"\0", wire[: len(wire) // 2]]
    for _ in range(60):
        body = bytearray(wire[12:])
        body[int(rng.integers(0, min(len(body), 60)))] = int(rng.integers(0, 256))
        lies.append(struct.pack("<4sBBHI", b"CCPL", 1, 0, 0, zlib.crc32(body)) + bytes(body))
    return lies


def test_hostile_plans_are_refused_with_the_sentence_of_the_core(host: Run) -> None:
    lr = planes(13, 9)
    calls, sentences = [], []
    for wire in hostile():
        try:
            scale = runtime.Plan(wire).scale
            sentences.append("")
        except PlanError as error:
            scale = 2
            sentences.append(str(error))
        calls.append(call(lr, scale, plans=[text(wire)]))
    assert sum(map(bool, sentences)) > 30
    (answer,) = host([{"threads": 1, "relaxed": True, "calls": calls}])
    for result, sentence in zip(answer["results"], sentences, strict=True):
        assert ("error" in result) == bool(sentence), (result.get("error"), sentence)
        if sentence:
            assert result["error"]["message"] in sentence
            assert result["error"]["status"] != 0


def test_wrong_calls_are_refused(host: Run) -> None:
    lr = planes(16, 8)
    short = {**call(lr, 2), "y": text(lr[0][:-1])}
    plan, plate = text(network(2)), text(np.zeros((18, 34), "u1"))
    colour = [text(np.full((8, 16), 9, "u1"))] * 2
    wrong = [
        (short, "needs 128"),
        ({**call(lr, 2), "strideY": 8}, "stride"),
        (call(lr, 5), "scale"),
        ({**call(lr, 2), "width": 0}, "1 to 16384"),
        ({**call(lr, 2), "width": 1 << 20}, "1 to 16384"),
        (call(lr, 2, patches=[0, 0, 8, 8, 0]), "tile"),
        (call(lr, 2, patches=[0, 0, 16, 8, 1]), "no plan"),
        (call(lr, 2, patches=[1, 2, 3]), "five words"),
        (call(lr, 3, plans=[plan]), "another scale"),
        (call(lr, 2, previous=text(lr[0][:4])), "previous"),
        (call(lr, 2, plans=[plan], plate=plate[:40]), "plate"),
        (call(lr, 2, chroma={"planes": [colour[0], ""], "tolerance": 9}), "plate V"),
        (call(lr, 2, chroma={"planes": colour, "tolerance": 0}), "outside its range"),
        (call(lr, 2, chroma={"planes": colour, "tolerance": 0.5}), "tolerance of 0.5"),
    ]
    calls = [given for given, _ in wrong] + [call(lr, 2)]
    (answer,) = host([{"threads": 1, "relaxed": True, "calls": calls}])
    for (_, sentence), result in zip(wrong, answer["results"], strict=False):
        assert sentence in result["error"]["message"], result
    assert "error" not in answer["results"][-1]  # and the runtime goes on


def test_a_closed_runtime_is_refused_in_a_sentence(host: Run) -> None:
    plan = text(network(2))
    calls = [call(planes(16, 8), 2), call(planes(16, 8), 2, plans=[plan])]
    cases = [{"threads": 1, "relaxed": True, "calls": given} for given in (calls, calls[1:])]
    answers = host(cases)
    for answer in answers:
        assert answer["after"]["error"]["message"] == "the runtime is closed; load another"


def test_what_is_freed_is_used_again(host: Run) -> None:
    lr = planes(160, 90)
    plate = text(np.zeros((180, 320), "u1"))
    given = call(lr, 2, plans=[text(network(2))], plate=plate, inPlace=True)
    few, many = ({"threads": 1, "relaxed": False, "calls": [given] * n} for n in (2, 60))
    few_answer, many_answer = host([few, many])
    assert many_answer["memory"] == few_answer["memory"]


def test_threads_without_isolation_are_refused(modules: Path) -> None:
    cases = [{"threads": n, "relaxed": True, "calls": [call(planes(8, 8), 2)]} for n in (2, 0)]
    two, as_it_comes = in_page(modules, cases, isolated=False)
    assert "Cross-Origin-Opener-Policy" in two["error"]["message"]
    assert as_it_comes["threads"] == 1
    assert "error" not in as_it_comes["results"][0]


def test_missing_modules_are_named(node: list[str], modules: Path, tmp_path: Path) -> None:
    case = {"threads": 1, "relaxed": False, "calls": []}
    (answer,) = in_node(node, tmp_path / "nowhere", tmp_path, [case])
    assert "crispcast.wasm" in answer["error"]["message"]


def test_the_modules_stay_small(modules: Path) -> None:
    for path in modules.glob("*.wasm"):
        assert path.stat().st_size < 230_000, path.name  # of which the core is a third
    assert len(list(modules.glob("*.wasm"))) == 4


def test_the_types_fit_the_code() -> None:
    compiler = shutil.which("tsc")
    if compiler is None:
        pytest.skip("no tsc here: npm install -g typescript")
    web = Path(__file__).parents[3] / "client_sdk" / "web"
    command = [compiler, "--noEmit", "--strict", "--target", "es2022"]
    subprocess.run([*command, "crispcast.d.ts", "session.d.ts"], cwd=web, check=True)
