"""`crispcast export` as a user meets it: the folder, its index, and what is refused."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import crispcast
from client_sdk.contract import open_package
from kernels.errors import CrispcastError
from mobile_export import export
from mobile_export.folder import whole_folder, write_index
from mobile_export.selection import experts_of
from tests.faults import killed_before_change
from tests.mobile_export.real import codes, match_db

pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'crispcast[export]'")
needs_coremltools = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("coremltools") is None,
    reason="needs coremltools: pip install 'crispcast[export]'",
)
TARGETS = [pytest.param("coreml", marks=needs_coremltools), "nnapi"]


def command(capsys, *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        crispcast.main(["export", *map(str, arguments)])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def refused(capsys, *arguments: object) -> str:
    code, out, err = command(capsys, *arguments)
    assert code == 1, (code, out, err)
    assert len(err.strip().splitlines()) == 1, err
    assert "Traceback" not in err
    return err


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("target", TARGETS)
def test_an_export_is_a_folder_with_an_index_of_itself(
    capsys, tiny_path: Path, tmp_path: Path, target: str
) -> None:
    output = tmp_path / "phone"
    code, out, err = command(capsys, tiny_path, "--target", target, "-o", output, "--json")
    assert code == 0, err
    assert err == ""
    told = json.loads(out.splitlines()[-1])
    assert left(tmp_path) == ["phone"]
    assert left(output) == ["README.md", "export.json", "models"]
    index = json.loads((output / "export.json").read_text())
    package = open_package(tiny_path)
    assert index["format"] == "crispcast-export"
    assert index["package"] == package.manifest.id
    assert set(index["experts"]) == {e.sha256 for e in experts_of(package)}
    assert told["models"] == len(index["models"])
    assert told["bytes"] == sum(f.stat().st_size for f in output.rglob("*") if f.is_file())
    there = {f.relative_to(output).as_posix() for f in output.rglob("*") if f.is_file()}
    assert set(index["files"]) == there - {"export.json"}
    for name, facts in index["files"].items():
        data = (output / name).read_bytes()
        assert facts == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        assert (output / name).stat().st_mode & 0o044 == 0o044
    for model in index["models"]:
        assert (output / model["file"]).exists()
    first = package.manifest.rungs[0].segments[0].experts[0]
    facts = index["experts"][first]
    assert facts["uses"][0]["segments"] == [[0, 2]]
    assert facts["inputs"] == ["luma", "previous"]
    assert facts["scale"] == 2
    assert "export.json" in (output / "README.md").read_text()


def test_the_models_of_an_encode_match_the_runtime_on_its_own_frames(
    small_package: Path, tmp_path: Path
) -> None:
    """A trained plan with codes, the decoded LR, the files as they were written."""
    import onnxruntime

    from overfit.video import read_rung

    package = open_package(small_package)
    lumas = [np.array(f.planes[0]) for f in read_rung(package.video_path(0))][:2]
    for target in ("coreml", "nnapi"):
        export(small_package, target, tmp_path / target, image=False)
    experts = experts_of(package)
    assert experts
    for expert in experts:
        plan = expert.plan
        size = expert.shapes[0]
        large = (plan.scale * size[1], plan.scale * size[0])
        given = {"luma": lumas[1], "previous": lumas[0], "plate": np.full(large, 128, np.uint8)}
        planes = {name: given[name] for name in plan.inputs}
        wanted = codes(plan, planes)
        stem = f"{expert.sha256[:16]}.{size[0]}x{size[1]}"
        files = tmp_path / "nnapi" / "models"
        session = onnxruntime.InferenceSession(str(files / f"{stem}.fp32.onnx"))
        feeds = {n: planes[n].astype(np.float32)[None, None] for n in plan.inputs if n != "plate"}
        if "plate" in plan.inputs:
            feeds["plate"] = np.full((1, plan.scale**2, *lumas[0].shape), 128, np.float32)
        assert match_db(session.run(None, feeds)[0][0, 0], wanted) >= 60
        assert (files / f"{stem}.int8.onnx").exists() == plan.table.coded
        pytest.importorskip("coremltools", reason="needs coremltools")
        from benchmarks.mil_interpreter import ModelPackage

        index = json.loads((tmp_path / "coreml" / "export.json").read_text())
        for model in index["models"]:
            for function in model["functions"]:
                if function["plan"] == expert.sha256 and list(size) in function["shapes"]:
                    read = ModelPackage(tmp_path / "coreml" / model["file"])
                    assert match_db(read.run(planes, function["name"]), wanted) >= 60


class TestRefusals:
    def test_a_folder_that_exists_is_kept(self, capsys, tiny_path: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.txt").write_text("years")
        arguments = (tiny_path, "--target", "nnapi", "-o", tmp_path / "out")
        assert "exists" in refused(capsys, *arguments)
        assert "not an export" in refused(capsys, *arguments, "--force")
        assert left(tmp_path / "out") == ["thesis.txt"]
        assert left(tmp_path) == ["out"]

    def test_force_replaces_an_export(self, capsys, tiny_path: Path, tmp_path: Path) -> None:
        arguments = (tiny_path, "--target", "nnapi", "-o", tmp_path / "out")
        assert command(capsys, *arguments)[0] == 0
        (tmp_path / "out" / "models" / "old.onnx").write_bytes(b"")
        assert command(capsys, *arguments, "--force")[0] == 0
        assert not (tmp_path / "out" / "models" / "old.onnx").exists()
        assert left(tmp_path) == ["out"]

    @pytest.mark.parametrize("at_once", [True, False])
    def test_a_kill_at_any_moment_leaves_the_old_export_or_the_new_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
    ) -> None:
        def cannot(*_: object) -> None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

        def write(target: Path, text: str) -> None:
            with whole_folder(target, force=True) as folder:
                (folder / "model").write_text(text)
                write_index(folder, {}, text)

        if not at_once:
            monkeypatch.setattr("client_sdk.contract.exchange._exchange_at_once", cannot)
        found = set()
        for change in itertools.count(1):
            target = tmp_path / str(change) / "out"
            write(target, "old")
            killed = killed_before_change(change, target.parent, partial(write, target, "new"))
            if not at_once:  # the next export puts back what a kill in between took
                with pytest.raises(CrispcastError, match="exists"), whole_folder(target, False):
                    pass
            found.add((target / "model").read_text())
            if not killed:
                break
        assert found == {"old", "new"}
        assert left(target.parent) == ["out"]

    def test_a_place_that_cannot_be_written(self, capsys, tiny_path: Path, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        said = refused(capsys, tiny_path, "--target", "nnapi", "-o", tmp_path / "file" / "out")
        assert "cannot be written" in said
        assert left(tmp_path) == ["file"]

    def test_a_full_disk(self, tiny_path: Path, tmp_path: Path, monkeypatch) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("onnx.save", full)
        with pytest.raises(CrispcastError, match="cannot be written: No space left"):
            export(tiny_path, "nnapi", tmp_path / "out")
        assert left(tmp_path) == []

    def test_targets_and_features_that_there_are_not(self, capsys, tiny_path, tmp_path) -> None:
        output = tmp_path / "out"
        said = refused(capsys, tiny_path, "--target", "tflite", "-o", output)
        assert "coreml, nnapi" in said
        said = refused(
            capsys, tiny_path, "--target", "coreml", "-o", output, "--features", "texture"
        )
        assert "image or array" in said
        assert command(capsys, tiny_path, "-o", output)[0] == 2
        assert left(tmp_path) == []

    def test_a_package_of_another_version(self, capsys, tiny_copy: Path, tmp_path: Path) -> None:
        file = tiny_copy / "manifest.json"
        tree = json.loads(file.read_text())
        tree["version"] = "2.0"
        file.write_text(json.dumps(tree))
        said = refused(capsys, tiny_copy, "--target", "nnapi", "-o", tmp_path / "out")
        assert "2.0" in said

    def test_a_plan_that_fails_its_hash(self, capsys, tiny_copy: Path, tmp_path: Path) -> None:
        plan = sorted((tiny_copy / "plans").iterdir())[0]
        data = bytearray(plan.read_bytes())
        data[-1] ^= 1
        plan.write_bytes(data)
        said = refused(capsys, tiny_copy, "--target", "nnapi", "-o", tmp_path / "out")
        assert plan.name in said
        assert "damaged" in said

    def test_a_plan_of_another_version_or_scale(self, tiny_copy: Path, tmp_path: Path) -> None:
        from client_sdk.contract import asset_file
        from tests.client_sdk.tiny import make_plan, sha

        manifest = tiny_copy / "manifest.json"
        tree = json.loads(manifest.read_text())
        old = tree["rungs"][0]["segments"][0]["experts"][1]
        later = bytearray(make_plan(10, ("luma",)))
        later[4] = 2
        for data, words in ((bytes(later), "version 2.0"), (make_plan(3, ("luma",), 3), "scale 3")):
            text = json.dumps(tree).replace(old, sha(data))
            changed = json.loads(text)
            changed["assets"][sha(data)]["bytes"] = len(data)
            manifest.write_text(json.dumps(changed))
            (tiny_copy / asset_file(sha(data), "plan")).write_bytes(data)
            with pytest.raises(CrispcastError, match=words):
                export(tiny_copy, "nnapi", tmp_path / "out")
            assert not (tmp_path / "out").exists()

    def test_no_package_and_no_networks(self, capsys, tmp_path: Path) -> None:
        from tests.client_sdk.tiny import write_tiny

        output = tmp_path / "out"
        said = refused(capsys, tmp_path / "none.crisp", "--target", "nnapi", "-o", output)
        assert "no such folder" in said
        plain = write_tiny(tmp_path, networks=False)
        said = refused(capsys, plain, "--target", "nnapi", "-o", output)
        assert "no networks to export" in said
        assert left(tmp_path) == [plain.name]

    @pytest.mark.parametrize(("target", "module"), [("coreml", "coremltools"), ("nnapi", "onnx")])
    def test_an_extra_that_is_not_installed(
        self, tiny_path: Path, tmp_path: Path, target: str, module: str
    ) -> None:
        code = (
            f"import sys; sys.modules[{module!r}] = None\n"
            f"import crispcast; crispcast.main(sys.argv[1:])"
        )
        output = tmp_path / "out"
        done = subprocess.run(
            [sys.executable, "-c", code, "export", tiny_path, "--target", target, "-o", output],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert module in done.stderr
        assert "crispcast[export]" in done.stderr
        assert left(tmp_path) == []

    def test_an_op_that_nnapi_lacks(self, tiny_path: Path, tmp_path: Path, monkeypatch) -> None:
        known = frozenset({"Sub", "Mul", "Conv"})
        monkeypatch.setattr("mobile_export.nnapi_gate.supported_ops", lambda: known)
        with pytest.raises(CrispcastError, match="does not take this network: it has no"):
            export(tiny_path, "nnapi", tmp_path / "out")
        assert left(tmp_path) == []


def test_a_kill_leaves_nothing_that_the_next_export_trips_over(
    tiny_path: Path, tmp_path: Path
) -> None:
    half = tmp_path / ".out.partial" / "models"
    half.mkdir(parents=True)
    (half / "half.onnx").write_bytes(b"half")
    export(tiny_path, "nnapi", tmp_path / "out")
    assert left(tmp_path) == ["out"]
    assert "half.onnx" not in left(tmp_path / "out" / "models")
    shutil.rmtree(tmp_path / "out")


@needs_coremltools
def test_core_ml_models_are_made_without_torch(tiny_path: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mobile_export import export\n"
        "export(Path(sys.argv[1]), 'coreml', Path(sys.argv[2]))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tiny_path, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == ["False"]
    assert done.stderr == ""
