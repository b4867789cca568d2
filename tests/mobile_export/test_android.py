"""The Android module: what is exported, and its Java on this machine's JVM."""

from __future__ import annotations

import json
import re
import shutil
import socketserver
import struct
import threading
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from client_sdk.contract import open_package
from client_sdk.contract.plate import decode_chroma, decode_plate
from kernels.compiler import encode_plan
from kernels.errors import CrispcastError
from kernels.runtime import Engine, Plan, Plate
from mobile_export import export
from mobile_export.android_module import MODULE
from mobile_export.native_sources import core_sources, headers, runtime_sources
from mobile_export.selection import experts_of
from tests.client_sdk.tiny import add_chroma
from tests.conformance.cases import CASES
from tests.conformance.recording import FOLDER
from tests.kept import KEPT
from tests.kernels.plans import every_branch
from tests.mobile_export.android import building

pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'crispcast[export]'")

UNIT_TESTS = sorted(
    path.stem for path in (MODULE / "crispcast/src/test/java/org/crispcast").iterdir()
)
NO_SLIDER = {"split"}
"""Of frames that are interpolated in part, which this face does not show."""
NOT_STREAMED = NO_SLIDER | {
    "interpolated",  # its flag is set by the machine's pace, not by an app
    "loop",  # an identity that comes after its frame, which a decoder's cannot
}


@pytest.fixture(scope="module")
def tiny_path(tiny_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny package, its plate with chroma."""
    path = Path(shutil.copytree(tiny_path, tmp_path_factory.mktemp("coloured") / tiny_path.name))
    add_chroma(path)
    return path


@pytest.fixture(scope="module")
def exported(tiny_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("android") / "app"
    export(tiny_path, "android", folder)
    return folder


class TestTheProject:
    def test_is_whole_and_says_what_is_in_it(self, exported: Path, tiny_path: Path) -> None:
        index = json.loads((exported / "export.json").read_text())
        assert index["target"] == "android"
        assert index["features"] == "array"
        there = {p.relative_to(exported).as_posix() for p in exported.rglob("*") if p.is_file()}
        assert set(index["files"]) == there - {"export.json"}
        for model in index["models"]:
            assert (exported / model["file"]).stat().st_size == model["bytes"]
        assert "embed-android.md" in (exported / "README.md").read_text()
        cpp = exported / "crispcast/src/main/cpp"
        for name in ("runtime/include/crispcast.h", "core/include/crispcast_session.h"):
            assert (cpp / name).exists()
        assert not [path for path in cpp.rglob("*") if "wasm" in path.name]

    def test_has_what_its_gradle_files_name(self, exported: Path) -> None:
        settings = (exported / "settings.gradle.kts").read_text()
        modules = re.findall(r'":(\w+)"', settings)
        assert modules == ["crispcast", "example"]
        for module in modules:
            script = (exported / module / "build.gradle.kts").read_text()
            assert script.count("{") == script.count("}")
            assert script.count("(") == script.count(")")
            for name in re.findall(r'(?:file|consumerProguardFiles)\("([^"]+)"\)', script):
                assert (exported / module / name).exists(), name
            for name in re.findall(r'project\(":(\w+)"\)', script):
                assert name in modules
            manifest = ElementTree.parse(exported / module / "src/main/AndroidManifest.xml")
            android = "{http://schemas.android.com/apk/res/android}name"
            space = re.search(r'namespace = "([^"]+)"', script)
            assert space is not None
            for activity in manifest.iter("activity"):
                name = activity.attrib[android].removeprefix(".")
                folder = exported / module / "src/main/kotlin" / space[1].replace(".", "/")
                assert f"class {name}" in (folder / f"{name}.kt").read_text()
        root = (exported / "build.gradle.kts").read_text()
        for module in modules:
            plugins = re.findall(
                r'id\("([^"]+)"\)', (exported / module / "build.gradle.kts").read_text()
            )
            assert plugins
            for plugin in plugins:
                assert f'id("{plugin}") version' in root
        library = (exported / "crispcast/build.gradle.kts").read_text()
        for abi in ("arm64-v8a", "armeabi-v7a", "x86_64"):
            assert abi in library
        assert 'compileOnly("com.microsoft.onnxruntime:onnxruntime-android' in library

    def test_keeps_the_classes_that_native_code_names(self, exported: Path) -> None:
        rules = (exported / "crispcast/consumer-rules.pro").read_text()
        session = (exported / "crispcast/src/main/cpp/jni/session.cpp").read_text()
        java = exported / "crispcast/src/main/java/org/crispcast/Native.java"
        assert "-keep class org.crispcast.Native" in rules
        assert "Java_org_crispcast_Native_" in session
        assert "class Native" in java.read_text()

    def test_brings_the_models_plans_and_bases_that_it_names(
        self, exported: Path, tiny_path: Path
    ) -> None:
        package = open_package(tiny_path)
        assets = exported / "crispcast/src/main/assets/crispcast"
        head, *lines = (assets / "models.tsv").read_text().splitlines()
        assert head == f"package\t{package.manifest.id}"
        experts = {expert.sha256: expert for expert in experts_of(package)}
        shapes = set()
        for line in lines:
            kind, plan, form, file, columns, rows, scale, _, inputs = line.split("\t")
            assert (kind, form) == ("model", "fp32")
            assert (assets / file).stat().st_size > 0
            assert inputs.split(",") == list(experts[plan].plan.inputs)
            assert int(scale) == experts[plan].plan.scale
            shapes.add((plan, int(columns), int(rows)))
        assert shapes == {(e.sha256, *size) for e in experts.values() for size in e.shapes}
        for sha256, expert in experts.items():
            assert (assets / "plans" / f"{sha256}.plan").read_bytes() == encode_plan(expert.plan)
        assert list((assets / "bases").glob("*.plan"))
        assert not list(assets.rglob("*.onnx"))

    def test_is_not_there_where_its_sources_are_missing(
        self, tiny_path: Path, tmp_path: Path, monkeypatch
    ) -> None:
        monkeypatch.setattr("mobile_export.native_sources.CORE", tmp_path / "core")
        with pytest.raises(CrispcastError, match="install Crispcast again"):
            export(tiny_path, "android", tmp_path / "app")
        assert list(tmp_path.iterdir()) == []

    def test_comes_with_an_installed_package(self) -> None:
        pathspec = pytest.importorskip("pathspec")
        settings = tomllib.loads((building.ROOT / "pyproject.toml").read_text())
        wheel = settings["tool"]["scikit-build"]["wheel"]
        left_out = pathspec.GitIgnoreSpec.from_lines(wheel["exclude"])
        assert left_out.match_file("kernels/runtime/wasm/CMakeLists.txt")
        module = [path for path in MODULE.rglob("*") if path.is_file()]
        for path in [*module, *headers(), *runtime_sources(), *core_sources()]:
            name = path.relative_to(building.ROOT).as_posix()
            assert name.split("/")[0] in wheel["packages"]
            assert not left_out.match_file(name), name


class TestJava:
    def test_its_own_tests_pass(self) -> None:
        said = building.java("UnitTests", *(f"org.crispcast.{name}" for name in UNIT_TESTS))
        assert int(said.split()[0]) >= len(UNIT_TESTS)

    @pytest.mark.parametrize("isa", ["portable", "auto"])
    def test_frames_are_the_python_runtimes_to_the_bit(self, tmp_path: Path, isa: str) -> None:
        width, height, scale = 75, 46, every_branch().scale
        rng = np.random.default_rng(7)
        halves = [(height, width)] + [((height + 1) // 2, (width + 1) // 2)] * 2
        small, before = (
            [rng.integers(0, 256, size, dtype=np.uint8) for size in halves] for _ in range(2)
        )
        plate = rng.integers(0, 256, (scale * height, scale * width), dtype=np.uint8)
        for name, planes in (("small.yuv", small), ("before.yuv", before), ("plate.y", [plate])):
            (tmp_path / name).write_bytes(b"".join(plane.tobytes() for plane in planes))
        wire = encode_plan(every_branch())
        (tmp_path / "expert.plan").write_bytes(wire)
        building.java("UpscalerRun", tmp_path, str(width), str(height), str(scale), isa)
        half = width // 2
        wanted = Engine(1, isa).upscale(
            small,
            scale,
            previous=before[0],
            plans=[Plan(wire)],
            plate=Plate(plate, scale),
            patches=np.array(
                [[0, 0, half, height, 1], [half, 0, width - half, height, 0]], np.int32
            ),
        )
        found = (tmp_path / "large.yuv").read_bytes()
        assert found == b"".join(plane.tobytes() for plane in wanted)

    def test_what_is_wrong_is_an_exception_with_the_cores_sentence(self, tmp_path: Path) -> None:
        file = building.ROOT / "kernels" / "bases" / "x2.plan"
        said = dict(line.split(": ", 1) for line in building.java("Misuse", file).splitlines())
        assert "damaged; fetch it again" in said["damaged"]
        assert "version that this runtime does not read" in said["later"]
        assert "not a plan" in said["empty"]
        for name in (
            "size",
            "five",
            "scale",
            "patches",
            "numbers",
            "expert",
            "plate",
            "session url",
        ):
            assert said[name].startswith("CrispcastException"), (name, said[name])
        for name in ("heap", "short"):
            assert said[name].startswith("IllegalArgumentException")
        for name in ("closed plan", "closed upscaler"):
            assert said[name].startswith("IllegalStateException")
        for name in ("fine", "still fine"):
            assert said[name] == "nothing"
        assert said["threads"] == "true 4 0"  # frames came, all four were told, none was wrong

    def test_a_whole_session_goes_on_whatever_it_cannot_use(self) -> None:
        said = dict(line.split(": ", 1) for line in building.java("BadInputRun").splitlines())
        assert re.fullmatch(r"104 .*version.*", said["version"])
        assert said["shown small"] == "3 of 3, [CONNECTING, PLAYING], more warnings: 0"
        # Each of four threads is told once that it is closed, and nothing else goes wrong.
        assert said["threads"] == "true 4 0, closed 1, frames kept 0"

    def test_a_listener_may_ask_for_the_figures_and_close_and_throw(self) -> None:
        said = building.java("ListenerRun", FOLDER, "sei").splitlines()
        assert said == ["frame", "state", "warning", "closed"]

    def test_sessions_play_the_conformance_suite(self) -> None:
        names = [name for name in CASES if name not in NO_SLIDER]
        said = building.java("Replay", FOLDER, *names)
        assert said.split("\n")[:-1] == [f"{name} ok" for name in names]

    def test_whole_streams_play_the_conformance_suite(self) -> None:
        """Signalling, data channel, decoder, sink: with WebRTC's times, in whole milliseconds."""
        names = [name for name in CASES if name not in NOT_STREAMED]
        said = building.java("StreamRun", FOLDER, *names)
        assert said.split("\n")[:-1] == [*(f"{name} ok" for name in names), "sessions deleted"]

    def test_the_token_goes_to_the_origins_that_the_app_named_only(self) -> None:
        """A lost server is looked for where the app said, and in turn where that sent the play."""
        said = building.java("RedirectRun", FOLDER, "pieces")
        at_named, untrusted, trusted = "POST named Bearer secret", "null", "Bearer secret"
        assert said.splitlines() == [
            "/whep/clip",
            at_named,
            "GET named Bearer secret",
            *(
                line
                for title, seen in (("/whep/moved", untrusted), ("/whep/moved, trusted", trusted))
                for line in (
                    *(title, at_named, f"POST other?hops=1 {seen}", f"GET other {seen}"),
                    *("lost", at_named, f"POST other {seen}"),
                )
            ),
        ]

    def test_a_server_that_answers_and_brings_nothing_is_left_after_a_while(self) -> None:
        assert building.java("SilentServerRun").splitlines() == [
            "answered, 10000",
            "left true, again true",
            "joined, waits false",
            "lost, waits true",
            "left true, over, waits false",
        ]

    def test_nnapi_makes_what_the_sparse_kernels_make(
        self, exported: Path, tiny_path: Path, tmp_path: Path, onnx_port: int
    ) -> None:
        """Its models run in ONNX Runtime's CPU: windows, planes, plates and rounding are ours."""
        from overfit.video import read_rung

        package = open_package(tiny_path)
        rung = package.manifest.rungs[0]
        shutil.copyfile(tiny_path / "manifest.json", tmp_path / "manifest.json")
        for sha256, place in package.places.items():
            data = package.asset(sha256)
            (tmp_path / sha256).write_bytes(data)
            width, height = rung.width * rung.scale, rung.height * rung.scale
            if place.kind == "chroma":  # U above V
                (tmp_path / f"{sha256}.y").write_bytes(decode_chroma(data, width, height).tobytes())
            if place.kind == "plate":
                (tmp_path / f"{sha256}.y").write_bytes(decode_plate(data, width, height).tobytes())
        frames = [f.planes for f in read_rung(package.video_path(0))]
        raw = b"".join(np.ascontiguousarray(p).tobytes() for planes in frames for p in planes)
        (tmp_path / "frames.yuv").write_bytes(raw)
        said = building.java(
            "NnapiRun",
            tmp_path,
            exported / "crispcast/src/main/assets/crispcast",
            tmp_path / "frames.yuv",
            options=(f"-Dort.port={onnx_port}",),
        )
        shown, networks, mended, luma, chroma, *choices = said.split()
        assert int(shown) == len(frames)
        assert int(networks) > len(frames) // 2
        plated = zip(package.manifest.segments, rung.segments, strict=True)
        assert int(mended) == sum(s.frames for s, of in plated if of.plate is not None)
        assert int(luma) <= 1
        assert int(chroma) == 0
        assert choices == ["true"] * 3


class _Models(socketserver.StreamRequestHandler):
    """A model and its inputs come, its output goes (stubs/ai/onnxruntime/OrtSession.java)."""

    def handle(self) -> None:
        import onnxruntime

        model = self.rfile.read(self._number())
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        wanted = {item.name: item for item in session.get_inputs()}
        feeds = {}
        for _ in range(self._number()):
            name = self.rfile.read(struct.unpack(">H", self.rfile.read(2))[0]).decode()
            kind = np.float32 if wanted[name].type == "tensor(float)" else np.uint8
            data = np.frombuffer(self.rfile.read(self._number()), kind)
            feeds[name] = data.reshape(wanted[name].shape)
        self.wfile.write(np.ascontiguousarray(session.run(["hr"], feeds)[0]).tobytes())

    def _number(self) -> int:
        return int(struct.unpack(">i", self.rfile.read(4))[0])


@pytest.fixture
def onnx_port() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Models) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_example_compiles_and_is_short() -> None:
    sources = sorted((MODULE / "example").rglob("*.kt"))
    jars = building.kotlin_compiler()
    made = building.classes()
    names = ("kotlin-compiler", "kotlin-stdlib", "kotlin-script-runtime", "kotlin-reflect")
    more = ("kotlinx-coroutines-core-jvm", "annotations-13.0")
    path = ":".join(str(jars / f"{name}.jar") for name in names + more)
    target = KEPT / "kotlin-example"
    building.run(
        *(
            building.jdk() / "bin" / "java",
            "-cp",
            path,
            "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
        ),
        *("-no-stdlib", "-no-reflect", "-Werror", "-jvm-target", "11", "-d", target, "-cp"),
        f"{jars / 'kotlin-stdlib.jar'}:{made / 'module'}:{made / 'stubs'}",
        *sources,
    )
    assert (target / "org/crispcast/example/PlayerActivity.class").exists()


class TestTheGuide:
    TEXT = (building.ROOT / "docs" / "embed-android.md").read_text()

    def snippets(self, language: str) -> list[str]:
        return re.findall(rf"```{language}\n(.*?)```", self.TEXT, re.S)

    def test_its_commands_are_ones_that_there_are(
        self, capsys, tiny_path: Path, tmp_path: Path
    ) -> None:
        import crispcast

        commands = [line for text in self.snippets("sh") for line in text.splitlines()]
        exports = [line.split()[1:] for line in commands if line.startswith("crispcast export")]
        assert len(exports) == 1
        names = {"holiday.crisp": str(tiny_path), "holiday-android": str(tmp_path / "out")}
        with pytest.raises(SystemExit) as ended:
            crispcast.main([names.get(word, word) for word in exports[0]])
        assert not ended.value.code
        assert (tmp_path / "out" / "settings.gradle.kts").exists()
        (serve,) = (line.split()[1:] for line in commands if line.startswith("crispcast serve"))
        with pytest.raises(SystemExit):
            crispcast.main(["serve", "--help"])
        shown = capsys.readouterr().out
        assert all(word in shown for word in serve if word.startswith("--"))

    def test_its_kotlin_is_the_examples(self) -> None:
        sources = [*MODULE.rglob("*.kt"), *MODULE.rglob("*.kts")]
        there = "\n".join(path.read_text() for path in sources)
        for text in self.snippets("kotlin"):
            for line in filter(None, map(str.strip, text.splitlines())):
                assert line.removesuffix(")") in there, line

    def test_its_java_compiles(self, tmp_path: Path) -> None:
        (text,) = self.snippets("java")
        source = tmp_path / "Guide.java"
        source.write_text(
            "import org.crispcast.*;\nclass Guide { void run(byte[] bytes, I420 small)"
            f" throws CrispcastException {{\n{text}\n}} }}\n"
        )
        made = building.classes()
        javac = building.jdk() / "bin" / "javac"
        building.run(javac, "-cp", made / "module", "-d", tmp_path, source)

    def test_it_names_the_methods_that_there_are(self) -> None:
        folder = MODULE / "crispcast/src/main/java/org/crispcast"
        java = "\n".join(path.read_text() for path in folder.glob("*.java"))
        tables = self.TEXT.split("## 5.")[1].split("**Which frame")[0]
        found = re.findall(r"`[^`]*?(\w+)\([^`]*\)`", tables)
        assert len(found) > 8
        for name in found:
            assert re.search(rf"public \w+ {name}\(", java), name
