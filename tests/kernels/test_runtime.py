"""The runtime's door: patches, experts, threads, strided planes, and what it refuses."""

from __future__ import annotations

import os
import threading
import tomllib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from kernels import reference, runtime
from kernels.compiler import encode_plan
from kernels.errors import PlanError
from kernels.plan import Activation, PlanIR, PlanTable, Uint8
from tests.kernels.plans import plan_for, spec

ISAS = runtime.available_isas()


@pytest.mark.skipif("CXX" in os.environ, reason="CXX names another compiler")
def test_the_compiler_is_the_one_that_the_build_brings() -> None:
    assert runtime.compiler.startswith("clang")


Planes = tuple[Uint8, Uint8, Uint8]
Patches = npt.NDArray[np.int32]


def network(scale: int = 2, seed: int = 0, width: int = 12) -> PlanIR:
    """Luma, previous and plate through three 3x3 layers and a 5x5 skip."""
    table = PlanTable(
        scale,
        ("luma", "previous", "plate"),
        True,
        (
            spec(scale**2, 0, kernel=5),
            spec(width, 0, 1, 2),
            spec(2 * width, 4, activation=Activation.RELU),
            spec(width, 5, block=8, residual=4),
            spec(scale**2, 6, residual=3, after=True),
        ),
    )
    return plan_for(table, seed, density=0.4)


def frame(width: int, height: int, seed: int = 0) -> Planes:
    rng = np.random.default_rng(seed)
    small = (height + 1) // 2, (width + 1) // 2
    y, u, v = (rng.integers(0, 256, s, dtype=np.uint8) for s in ((height, width), small, small))
    return y, u, v


def grid(width: int, height: int, step: int, experts: int, seed: int = 0) -> Patches:
    """Patches of `step` pixels, the last row and column absorbing the remainder."""
    rng = np.random.default_rng(seed)
    xs, ys = (list(range(0, max(side // step, 1) * step, step)) for side in (width, height))
    rows = []
    for y, y_end in zip(ys, [*ys[1:], height], strict=True):
        for x, x_end in zip(xs, [*xs[1:], width], strict=True):
            rows.append((x, y, x_end - x, y_end - y, int(rng.integers(0, experts + 1))))
    return np.array(rows, np.int32)


def equal(left: Planes, right: Planes) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_experts_share_a_frame_as_the_patches_say(isa: str, scale: int) -> None:
    width, height = 67, 41
    irs = [network(scale, seed) for seed in (1, 2)]
    plans = [runtime.Plan(encode_plan(ir)) for ir in irs]
    lr, previous = frame(width, height), frame(width, height, 1)[0]
    plate = np.random.default_rng(2).integers(0, 256, (scale * height, scale * width)).astype("u1")
    patches = grid(width, height, 9, experts=3)  # expert 3 has no plan: interpolation
    out = runtime.Engine(2, isa).upscale(
        lr,
        scale,
        previous=previous,
        patches=patches,
        plans=[*plans, None],
        plate=runtime.Plate(plate, scale),
    )
    whole = [reference.interpolate(lr[0], scale)]
    whole += [reference.run_plan(ir, lr[0], previous, plate) for ir in irs]
    for x, y, w, h, expert in patches * [scale, scale, scale, scale, 1]:
        wanted = whole[expert % 3][y : y + h, x : x + w].astype(int)
        assert np.abs(out[0][y : y + h, x : x + w] - wanted).max() <= 1
    for plane in (1, 2):
        high, wide = (scale * height + 1) // 2, (scale * width + 1) // 2
        assert out[plane].shape == (high, wide)
        wanted = reference.interpolate(lr[plane], scale)[:high, :wide].astype(int)
        assert np.abs(out[plane] - wanted).max() <= 1


@pytest.mark.parametrize("isa", ISAS)
def test_threads_and_patches_never_change_a_bit(isa: str) -> None:
    width, height = 301, 83
    plan = runtime.Plan(encode_plan(network(width=40)))
    lr = frame(width, height)
    wanted = runtime.Engine(1, isa).upscale(lr, 2, plans=[plan])
    for threads in (2, 3, 7):
        assert equal(runtime.Engine(threads, isa).upscale(lr, 2, plans=[plan]), wanted)
    for step in (13, 40):
        patches = grid(width, height, step, experts=1)
        patches[:, 4] = 1 + np.arange(len(patches)) % 2  # two names for one expert
        assert equal(
            runtime.Engine(2, isa).upscale(lr, 2, patches=patches, plans=[plan, plan]), wanted
        )


def test_a_frame_wider_than_a_strip() -> None:
    ir = network(width=64)
    plan = runtime.Plan(encode_plan(ir))
    lr = frame(700, 5)
    wanted = reference.run_plan(ir, lr[0]).astype(int)
    for isa in ISAS:
        out = runtime.Engine(1, isa).upscale(lr, 2, plans=[plan])[0]
        assert np.abs(out - wanted).max() <= 1


def test_a_plan_does_not_see_the_rows_of_the_plan_before() -> None:
    engine, fresh = runtime.Engine(1), runtime.Engine(1)
    one, two = (runtime.Plan(encode_plan(network(seed=s, width=w))) for s, w in ((1, 8), (2, 20)))
    lr = frame(90, 30)
    engine.upscale(lr, 2, plans=[one])
    assert equal(engine.upscale(lr, 2, plans=[two]), fresh.upscale(lr, 2, plans=[two]))


def test_strided_planes_are_read_and_written_in_place() -> None:
    plan = runtime.Plan(encode_plan(network()))
    lr = frame(37, 19)
    wanted = runtime.Engine(1).upscale(lr, 2, previous=lr[0], plans=[plan])
    wide = tuple(np.full((p.shape[0], p.shape[1] + 27), 77, np.uint8) for p in lr)
    views = tuple(w[:, 5 : 5 + p.shape[1]] for w, p in zip(wide, lr, strict=True))
    for view, plane in zip(views, lr, strict=True):
        view[:] = plane
        view.flags.writeable = False
    canvas = tuple(np.full((p.shape[0] + 2, p.shape[1] + 31), 9, np.uint8) for p in wanted)
    out = tuple(c[1:-1, 3 : 3 + p.shape[1]] for c, p in zip(canvas, wanted, strict=True))
    got = runtime.Engine(2).upscale(views, 2, previous=views[0], plans=[plan], out=out)
    assert all(a is b for a, b in zip(got, out, strict=True))
    assert equal(got, wanted)
    for whole, part in zip(canvas, out, strict=True):
        assert int((whole != 9).sum()) == int((part != 9).sum())  # nothing around them


def test_no_plans_is_interpolation_and_one_plan_is_the_whole_frame() -> None:
    lr = frame(21, 13)
    plan = runtime.Plan(encode_plan(network()))
    engine = runtime.Engine(1)
    everything = np.array([[0, 0, 21, 13, 1]], np.int32)
    assert equal(engine.upscale(lr, 2), engine.upscale(lr, 2, patches=everything, plans=[None]))
    assert equal(
        engine.upscale(lr, 2, plans=[plan]),
        engine.upscale(lr, 2, patches=everything, plans=[plan]),
    )


def test_an_absent_plate_is_code_128_and_an_absent_previous_the_luma() -> None:
    lr = frame(33, 17)
    plan = runtime.Plan(encode_plan(network(3)))
    engine = runtime.Engine(1)
    grey = runtime.Plate(np.full((51, 99), 128, np.uint8), 3)
    assert equal(
        engine.upscale(lr, 3, plans=[plan]),
        engine.upscale(lr, 3, plans=[plan], plate=grey, previous=lr[0]),
    )


def test_one_engine_serves_several_threads() -> None:
    engine, plan = runtime.Engine(2), runtime.Plan(encode_plan(network()))
    frames = [frame(64, 36, seed) for seed in range(6)]
    wanted = [runtime.Engine(1).upscale(lr, 2, plans=[plan]) for lr in frames]
    got: dict[int, Planes] = {}

    def work(i: int) -> None:
        got[i] = engine.upscale(frames[i], 2, plans=[plan])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(frames))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(equal(got[i], wanted[i]) for i in range(len(frames)))


def test_memory_is_made_once() -> None:
    engine, plan = runtime.Engine(2), runtime.Plan(encode_plan(network()))
    lr = frame(320, 40)
    engine.upscale(lr, 2, plans=[plan])
    before = engine.bytes
    for _ in range(3):
        engine.upscale(lr, 2, plans=[plan])
    assert engine.bytes == before
    assert before < 2 * plan.working_bytes + (1 << 17)


def test_the_default_is_the_best_instruction_set_and_all_cores() -> None:
    assert ISAS[0] == "portable"
    engine = runtime.Engine()
    assert engine.isa == ISAS[-1]
    assert engine.threads >= 1


def test_the_versions_agree() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert runtime.version() == project["project"]["version"]


class TestRefusals:
    """Each with a sentence that names what is wrong."""

    lr = frame(20, 10)
    engine = runtime.Engine(1)
    plan = runtime.Plan(encode_plan(network()))

    @pytest.mark.parametrize(
        ("patches", "sentence"),
        [
            ([[0, 0, 20, 9, 1]], "tile"),
            ([[0, 0, 20, 10, 1], [0, 0, 1, 1, 1]], "tile"),
            ([[0, 0, 10, 10, 1], [5, 0, 10, 10, 1]], "tile"),
            ([[0, 0, 21, 10, 1]], "tile"),
            ([[-1, 0, 21, 10, 1]], "tile"),
            ([[0, 0, 20, -10, 1]], "tile"),
            ([[2**31 - 1, 0, 2**31 - 1, 10, 1]], "tile"),
            ([[0, 0, 20, 10, 2]], "expert"),
            ([[0, 0, 20, 10, -1]], "expert"),
        ],
    )
    def test_patches(self, patches: list[list[int]], sentence: str) -> None:
        with pytest.raises(PlanError, match=sentence):
            self.engine.upscale(self.lr, 2, patches=np.array(patches, np.int32), plans=[self.plan])

    def test_no_patches(self) -> None:
        with pytest.raises(PlanError, match="tile"):
            self.engine.upscale(self.lr, 2, patches=np.zeros((0, 5), np.int32))

    def test_patches_of_another_type(self) -> None:
        whole = np.array([[0, 0, 20, 10, 0]], np.int64)
        with pytest.raises(PlanError, match="int32"):
            self.engine.upscale(self.lr, 2, patches=whole)  # type: ignore[arg-type]

    def test_planes(self) -> None:
        y, u, v = self.lr
        wrong: list[tuple[object, str]] = [
            ((y, u), "three planes"),
            (None, "three planes"),
            ((y, u, None), r"lr\[2\]"),
            ((y.astype(np.int16), u, v), "uint8"),
            ((y[None], u, v), "3 dimensions"),
            ((y, u[:, :-1], v), r"lr\[1\] \(U\) is 9x5, not 10x5"),
            ((np.zeros((20, 10), np.uint8).T, u, v), "strided"),
            ((y[::-1], u, v), "backwards"),
            ((np.zeros((0, 0), np.uint8), u, v), "0x0"),
        ]
        for planes, sentence in wrong:
            with pytest.raises(PlanError, match=sentence):
                self.engine.upscale(planes, 2)  # type: ignore[arg-type]

    def test_previous_and_out(self) -> None:
        with pytest.raises(PlanError, match="previous is 19x10, not 20x10"):
            self.engine.upscale(self.lr, 2, previous=self.lr[0][:, 1:])
        out = self.engine.upscale(self.lr, 2)
        with pytest.raises(PlanError, match=r"out\[0\] \(Y\) is 40x20, not 60x30"):
            self.engine.upscale(self.lr, 3, out=out)
        out[1].flags.writeable = False
        with pytest.raises(PlanError, match=r"out\[1\] \(U\) is not a writable"):
            self.engine.upscale(self.lr, 2, out=out)

    def test_scale_plans_and_plates(self) -> None:
        with pytest.raises(PlanError, match="scale is 5"):
            self.engine.upscale(self.lr, 5)
        with pytest.raises(PlanError, match="expert 1 is for scale 2, not 3"):
            self.engine.upscale(self.lr, 3, plans=[self.plan])
        with pytest.raises(PlanError, match="entry of plans"):
            self.engine.upscale(self.lr, 2, plans=[b"plan"])  # type: ignore[list-item]
        plate = runtime.Plate(np.zeros((22, 40), np.uint8), 2)
        with pytest.raises(PlanError, match="plate is for 20x11"):
            self.engine.upscale(self.lr, 2, plans=[self.plan], plate=plate)
        with pytest.raises(PlanError, match="multiple"):
            runtime.Plate(np.zeros((21, 40), np.uint8), 2)
        with pytest.raises(PlanError, match="scale"):
            runtime.Plate(np.zeros((20, 40), np.uint8), 5)

    def test_engines(self) -> None:
        with pytest.raises(PlanError, match="threads is -1"):
            runtime.Engine(-1)
        with pytest.raises(PlanError, match="threads is 100000"):
            runtime.Engine(100000)
        with pytest.raises(PlanError, match="isa is 'mmx'"):
            runtime.Engine(1, "mmx")
