"""`crispcast export --target ios` as a user meets it: a whole Swift package of a real package."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("coremltools", reason="needs coremltools: pip install 'crispcast[export]'")

from benchmarks.mil_interpreter import ModelPackage
from client_sdk.contract import Package
from kernels import bases
from kernels.errors import CrispcastError
from mobile_export import export
from mobile_export.ios_package import RESOURCES, SWIFT
from mobile_export.native_sources import core_sources, headers, runtime_sources
from mobile_export.selection import experts_of

NATIVE = Path("Sources", "CCrispcast")


@pytest.fixture(scope="module")
def exported(tiny_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("ios") / "tiny-ios"
    done = export(tiny_path, "ios", output)
    assert done.target == "ios"
    return output


@pytest.fixture(scope="module")
def index(exported: Path) -> dict:
    return json.loads((exported / RESOURCES / "index.json").read_text())


def files_of(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_the_swift_is_there_as_it_is(exported: Path) -> None:
    for name in files_of(SWIFT):
        assert (exported / name).read_bytes() == (SWIFT / name).read_bytes()


def test_the_c_target_has_the_runtime_and_the_core_and_nothing_else(exported: Path) -> None:
    there = files_of(exported / NATIVE)
    ours = files_of(SWIFT / NATIVE)
    copied = {Path(name).name for name in there - ours}
    wanted = {path.name for path in (*headers(), *runtime_sources(), *core_sources())}
    assert copied == wanted
    assert len(there - ours) == len(wanted)
    assert not [name for name in there if "wasm" in name or "binding" in name]
    # Of one processor: not compiled as they are, each included by a file that switches it on.
    for path in (exported / NATIVE / "isa").iterdir():
        switch = exported / NATIVE / "apple" / path.name.removeprefix("kernels_")
        assert f'#include "{path.name}"' in switch.read_text()
    module = (exported / NATIVE / "include" / "module.modulemap").read_text()
    named = set(re.findall(r'header "(\S+)"', module))
    assert named == {path.name for path in (exported / NATIVE / "include").glob("*.h")}


def test_package_swift_leaves_out_and_searches_folders_that_are_there(exported: Path) -> None:
    text = (exported / "Package.swift").read_text()
    folders = re.findall(r'headerSearchPath\("(\w+)"\)', text)
    folders += re.findall(r'exclude: \["(\w+)"\]', text)
    assert set(folders) == {"core", "isa", "runtime"}
    for folder in folders:
        assert (exported / NATIVE / folder).is_dir()
    (resource,) = re.findall(r'\.copy\("(\w+)"\)', text)
    assert (exported / RESOURCES.parent / resource).is_dir()
    for name in re.findall(r'arget\(\s*name: "(\w+)"', text):
        assert (exported / "Sources" / name).is_dir() or (exported / "Tests" / name).is_dir()


def test_the_bundle_holds_models_plans_and_bases_by_hash(
    exported: Path, index: dict, tiny: Package
) -> None:
    resources = exported / RESOURCES
    assert set(index["files"]) == files_of(resources) - {"index.json"}
    for name, facts in index["files"].items():
        data = (resources / name).read_bytes()
        assert facts == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    for sha256, asset in tiny.manifest.assets.items():
        if asset.kind == "plan":
            assert (resources / "plans" / f"{sha256}.plan").read_bytes() == tiny.asset(sha256)
    for path in bases.shipped():
        identity = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
        assert (resources / "bases" / f"{identity}.plan").read_bytes() == path.read_bytes()


def test_the_index_says_what_swift_asks_of_it(exported: Path, index: dict, tiny: Package) -> None:
    experts = {expert.sha256: expert for expert in experts_of(tiny)}
    assert index["package"] == tiny.manifest.id
    assert set(index["experts"]) == set(experts)
    for target in ("iOS16", "iOS18"):
        shapes: dict[str, set] = {sha256: set() for sha256 in experts}
        for model in index["models"]:
            assert (exported / RESOURCES / model["file"]).is_dir()
            for function in model["functions"]:
                if model["target"] == target:
                    shapes[function["plan"]] |= {tuple(shape) for shape in function["shapes"]}
        assert shapes == {sha256: set(expert.shapes) for sha256, expert in experts.items()}
    # The keys that ModelBundle.swift decodes, by the names it gives them.
    swift = (exported / "Sources/Crispcast/ModelBundle.swift").read_text()
    one = {
        "Expert": next(iter(index["experts"].values())),
        "Model": index["models"][0],
        "Function": index["models"][0]["functions"][0],
        "File": next(iter(index["files"].values())),
    }
    for name, value in one.items():
        body = re.search(rf"struct {name}: Decodable \{{(.*?)\n    \}}", swift, re.S)
        assert body is not None
        assert set(re.findall(r"let (\w+):", body.group(1))) <= set(value), name


def test_the_models_run(exported: Path, index: dict) -> None:
    for model in index["models"]:
        read = ModelPackage(exported / RESOURCES / model["file"])
        for function in model["functions"]:
            facts = index["experts"][function["plan"]]
            width, height = function["shapes"][0]
            sizes = {name: facts["scale"] if name == "plate" else 1 for name in facts["inputs"]}
            planes = {
                name: np.full((times * height, times * width), 90, np.uint8)
                for name, times in sizes.items()
            }
            made = read.run(planes, function["name"])
            assert made.shape[-2:] == (facts["scale"] * height, facts["scale"] * width)


def test_the_export_has_an_index_of_itself(exported: Path) -> None:
    found = json.loads((exported / "export.json").read_text())
    assert found["target"] == "ios"
    assert set(found["files"]) == files_of(exported) - {"export.json"}
    for model in found["models"]:
        assert (exported / model["file"]).is_dir()
    assert "Package Dependencies" in (exported / "README.md").read_text()


def test_an_export_is_replaced_only_where_it_is_asked_for(exported: Path, tiny_path: Path) -> None:
    with pytest.raises(CrispcastError, match="exists"):
        export(tiny_path, "ios", exported)
    (exported / "Sources" / "old.swift").write_text("")
    export(tiny_path, "ios", exported, force=True)
    assert not (exported / "Sources" / "old.swift").exists()
    assert [path.name for path in exported.parent.iterdir()] == [exported.name]


class TestRefusals:
    def test_arrays(self, tiny_path: Path, tmp_path: Path) -> None:
        with pytest.raises(CrispcastError, match="images"):
            export(tiny_path, "ios", tmp_path / "out", image=False)

    def test_a_plan_that_fails_its_hash(self, tiny_copy: Path, tmp_path: Path) -> None:
        plan = sorted((tiny_copy / "plans").iterdir())[0]
        data = bytearray(plan.read_bytes())
        data[-1] ^= 1
        plan.write_bytes(data)
        with pytest.raises(CrispcastError, match="damaged"):
            export(tiny_copy, "ios", tmp_path / "out")
        assert list(tmp_path.glob("out*")) == []

    def test_sources_that_are_not_installed(
        self, tiny_path: Path, tmp_path: Path, monkeypatch
    ) -> None:
        monkeypatch.setattr("mobile_export.native_sources.CORE", tmp_path / "nothing")
        with pytest.raises(CrispcastError, match="install Crispcast again"):
            export(tiny_path, "ios", tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    def test_core_ml_tools_that_are_not_installed(self, tiny_path: Path, tmp_path: Path) -> None:
        code = (
            "import sys; sys.modules['coremltools'] = None\n"
            "import crispcast; crispcast.main(sys.argv[1:])"
        )
        output = tmp_path / "out"
        arguments = ["export", str(tiny_path), "--target", "ios", "-o", str(output)]
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "crispcast[export]" in done.stderr
        assert list(tmp_path.iterdir()) == []
