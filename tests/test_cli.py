"""The command line as a user meets it: what it prints, what it refuses, and how."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import crispcast
from client_sdk.contract import open_package
from client_sdk.play_stats import PlayStats
from tests.overfit.making import write_video

QUICK = ["--preset", "fast", "--steps", "4", "--threads", "1", "--plates", "off"]


class Outcome:
    """Exit code, stdout and stderr of one command."""

    def __init__(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            crispcast.main(arguments)
        self.code = ended.value.code or 0
        self.out, self.err = capsys.readouterr()

    def assert_refused(self, *words: str) -> None:
        """One sentence on stderr with these words, and exit code 1."""
        assert self.code == 1, (self.code, self.out, self.err)
        assert len(self.err.strip().splitlines()) == 1, self.err
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    return lambda *arguments: Outcome([str(argument) for argument in arguments], capsys)


def nothing_left(folder: Path, *allowed: str) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(allowed)


def test_encode_prints_its_figures_as_the_last_line(run, small_video: Path, tmp_path: Path) -> None:
    done = run("encode", small_video, "-o", tmp_path / "a.crisp", *QUICK, "--json")
    assert done.code == 0, done.err
    figures = json.loads(done.out.splitlines()[-1])
    assert figures["frames"] == 30
    sizes = figures["bytes"]
    parts = ("video", "plans", "plates", "maps", "motion", "manifest")
    assert sizes["total"] == sum(sizes[part] for part in parts)
    assert figures["kbps_total"] == pytest.approx(sizes["total"] * 8 / 1000 / (30 / 25))
    for name in ("psnr_y", "psnr_y_bicubic", "psnr_y_lanczos", "kbps_video", "seconds"):
        assert figures[name] > 0
    nothing_left(tmp_path, "a.crisp")


def test_report_prints_its_figures_as_the_last_line(
    run, small_video: Path, package_copy: Path
) -> None:
    done = run("report", package_copy, "--source", small_video, "--no-vmaf", "--json")
    assert done.code == 0, done.err
    figures = json.loads(done.out.splitlines()[-1])
    assert figures["frames"] == 30
    assert figures["bytes"]["total"] > 0
    assert Path(figures["report"]).read_text().startswith("<!doctype html>")


def test_without_a_method_there_are_no_plans(run, small_video: Path, tmp_path: Path) -> None:
    target = tmp_path / "plain.crisp"
    done = run("encode", small_video, "-o", target, "--method", "none", "--lr-bitrate", "60k")
    assert done.code == 0, done.err
    manifest = open_package(target).manifest
    assert manifest.assets == {}
    assert manifest.method.name == "none"


@pytest.mark.parametrize(
    "command", ["encode", "serve", "settings", "play", "report", "export", "doctor"]
)
def test_every_command_explains_itself(run, command: str) -> None:
    done = run(command, "--help")
    assert done.code == 0
    assert "--" in done.out


def test_the_settings_of_serve_are_flags_variables_and_a_file(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = run("settings")
    assert printed.code == 0
    file = tmp_path / "crispcast.toml"
    file.write_text(printed.out)
    missing = tmp_path / "none"
    serving = run("serve", missing, "--settings", file, "--max-viewers", "3")
    serving.assert_refused("no such folder")
    run("serve", missing, "--max-viewers", "none").assert_refused("max_viewers", "--max-viewers")
    monkeypatch.setenv("CRISPCAST_PORT", "http")
    run("serve", missing).assert_refused("setting port", "CRISPCAST_PORT")
    file.write_text("ports = 3")
    run("serve", missing, "--settings", file).assert_refused("did you mean port")
    assert run("serve", missing, "--no-such-flag").code == 2
    assert "--max-viewers" in run("serve", "--help").out


def test_version_and_doctor(run) -> None:
    assert run("--version").out.strip() == f"crispcast {crispcast.__version__}"
    found = json.loads(run("doctor", "--json").out.splitlines()[-1])["found"]
    assert "avx" in found["runtime"] or "neon" in found["runtime"] or "portable" in found["runtime"]


def test_wrong_usage_is_exit_code_two(run, small_video: Path) -> None:
    assert run("encode", small_video).code == 2
    assert run("encode", small_video, "-o", "x.crisp", "--scale", "two").code == 2
    assert run("no-such-command").code == 2
    assert run("play", "http://127.0.0.1:9/whep/x", "--no-cache", "--threads", "-1").code == 2


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--scale", "5"], "scale"),
        (["--method", "magic"], "stdo"),
        (["--preset", "slowest"], "balanced"),
        (["--chunks", "0"], "chunks"),
        (["--lr-bitrate", "fast"], "250k"),
        (["--lr-crf", "30", "--lr-bitrate", "200k"], "choose one"),
        (["--max-segment", "1.9"], "segments"),
        (["--max-segment", "4.1"], "segments"),
        (["--lr-crf", "99"], "CRF"),
        (["--lr-bitrate", "1"], "10k"),
        (["--seed", "-3"], "seed"),
        (["--threads", "100000"], "threads"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    run, small_video: Path, tmp_path: Path, arguments: list[str], word: str
) -> None:
    run("encode", small_video, "-o", tmp_path / "a.crisp", *arguments).assert_refused(word)
    nothing_left(tmp_path)


class TestBadVideos:
    def assert_refused(self, run, source: Path, tmp_path: Path, *words: str) -> None:
        before = sorted(path.name for path in tmp_path.iterdir())
        run("encode", source, "-o", tmp_path / "a.crisp", *QUICK).assert_refused(
            source.name, *words
        )
        nothing_left(tmp_path, *before)

    def test_not_a_video(self, run, tmp_path: Path) -> None:
        source = tmp_path / "notes.mp4"
        source.write_text("Nothing moves here.\n" * 100)
        self.assert_refused(run, source, tmp_path)

    def test_no_such_file(self, run, tmp_path: Path) -> None:
        self.assert_refused(run, tmp_path / "gone.mp4", tmp_path, "no such file")

    def test_empty(self, run, tmp_path: Path) -> None:
        source = tmp_path / "empty.mp4"
        source.touch()
        self.assert_refused(run, source, tmp_path)

    def test_a_folder(self, run, tmp_path: Path) -> None:
        source = tmp_path / "folder.mp4"
        source.mkdir()
        self.assert_refused(run, source, tmp_path)

    def test_no_video_stream(self, run, small_video: Path, tmp_path: Path) -> None:
        import av

        source = tmp_path / "song.mp4"
        with av.open(str(small_video)) as whole, av.open(str(source), "w") as song:
            track = whole.streams.audio[0]
            copy = song.add_stream_from_template(track)
            for packet in whole.demux(track):
                if packet.dts is not None:
                    packet.stream = copy
                    song.mux(packet)
        self.assert_refused(run, source, tmp_path, "no video stream")

    def test_sixteen_pixels(self, run, tmp_path: Path) -> None:
        source = write_video(tmp_path / "stamp.mp4", width=16, height=16)
        self.assert_refused(run, source, tmp_path, "16x16", "too small")

    def test_one_frame(self, run, tmp_path: Path) -> None:
        source = write_video(tmp_path / "still.mp4", frames=1)
        self.assert_refused(run, source, tmp_path, "one frame")

    def test_truncated_before_its_index(self, run, small_video: Path, tmp_path: Path) -> None:
        source = tmp_path / "cut.mp4"
        data = small_video.read_bytes()
        source.write_bytes(data[: len(data) // 2])
        self.assert_refused(run, source, tmp_path)

    def test_an_hour_declared_and_nothing_in_it(self, run, tmp_path: Path) -> None:
        whole = write_video(tmp_path / "whole.mkv", frames=12, options={"crf": "12", "g": "1"})
        data = whole.read_bytes()
        source = tmp_path / "hour.mkv"
        # Up to the first cluster: a header that promises tracks and a length, and no frame.
        source.write_bytes(data[: data.index(b"\x1f\x43\xb6\x75")])
        self.assert_refused(run, source, tmp_path)


def test_a_truncated_video_is_encoded_as_far_as_it_goes(run, tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", frames=40, options={"crf": "12", "g": "5"})
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    done = run("encode", cut, "-o", tmp_path / "cut.crisp", "--method", "none")
    assert done.code == 0, done.err
    assert 5 < open_package(tmp_path / "cut.crisp").manifest.source.frames < 40


class TestOutputs:
    @pytest.mark.parametrize("name", ["ünï côdé 日本", "a\nb\x1b", "n" * 230, "a\udcff"])
    def test_any_file_name_will_do(self, run, small_video: Path, tmp_path: Path, name: str) -> None:
        target = tmp_path / f"{name}.crisp"
        done = run("encode", small_video, "-o", target, "--method", "none", "--json")
        assert done.code == 0, done.err
        title = open_package(target).manifest.name
        assert title.isprintable()
        assert len(title) <= 200

    def test_a_name_is_needed(self, run, small_video: Path, tmp_path: Path) -> None:
        run("encode", small_video, "-o", tmp_path / ".crisp").assert_refused("no name")
        nothing_left(tmp_path)

    def test_figures_that_cannot_be_saved_are_refused_before_the_play(
        self, run, tmp_path: Path
    ) -> None:
        url = "http://127.0.0.1:9/whep/x"
        run("play", url, "--stats", tmp_path / "no" / "s.json").assert_refused("there is no folder")
        run("play", url, "--stats", tmp_path).assert_refused("it is a folder")

    def test_an_existing_package_is_kept(self, run, small_video: Path, package_copy: Path) -> None:
        before = (package_copy / "manifest.json").read_bytes()
        run("encode", small_video, "-o", package_copy, *QUICK).assert_refused("--force", "exists")
        assert (package_copy / "manifest.json").read_bytes() == before

    def test_force_replaces_it(self, run, small_video: Path, package_copy: Path) -> None:
        before = (package_copy / "manifest.json").read_bytes()
        done = run("encode", small_video, "-o", package_copy, *QUICK, "--force")
        assert done.code == 0, done.err
        assert (package_copy / "manifest.json").read_bytes() != before
        nothing_left(package_copy.parent, package_copy.name)

    def test_force_never_replaces_what_is_no_package(
        self, run, small_video: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
        target = tmp_path / "thesis"
        run("encode", small_video, "-o", target, *QUICK, "--force").assert_refused("not a package")
        assert (target / "chapter.txt").exists()

    def test_a_place_that_cannot_be_written(self, run, small_video: Path, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        target = tmp_path / "file" / "a.crisp"
        run("encode", small_video, "-o", target, *QUICK).assert_refused("cannot be written")
        nothing_left(tmp_path, "file")

    def test_a_store_that_cannot_be_written(self, run, small_video: Path, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        run(
            "encode", small_video, "-o", tmp_path / "a.crisp", "--store", tmp_path / "file" / "s"
        ).assert_refused("--store")
        nothing_left(tmp_path, "file")

    def test_a_full_disk(
        self, run, small_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import errno

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("shutil.copyfile", full)
        done = run("encode", small_video, "-o", tmp_path / "a.crisp", "--method", "none")
        done.assert_refused("disk is full")
        nothing_left(tmp_path)


class TestDamagedPackages:
    @pytest.mark.parametrize("damage", ["missing", "truncated", "tampered"])
    @pytest.mark.parametrize("what", ["manifest.json", "video/*.mp4", "plans/*.plan", "maps/*"])
    def test_report_names_the_file(
        self, run, small_video: Path, package_copy: Path, damage: str, what: str
    ) -> None:
        path = next(package_copy.glob(what))
        data = bytearray(path.read_bytes())
        if damage == "missing":
            path.unlink()
        elif damage == "truncated":
            path.write_bytes(data[: len(data) // 2])
        else:
            data[len(data) // 2] ^= 0x40
            path.write_bytes(data)
        done = run("report", package_copy, "--source", small_video)
        if what == "manifest.json" and damage == "tampered" and done.code == 0:
            pytest.skip("the flipped bit fell on something that changes no meaning")
        done.assert_refused(package_copy.name)
        assert not (package_copy / "report").exists()

    def test_another_source(self, run, package_copy: Path, tmp_path: Path) -> None:
        other = write_video(tmp_path / "other.mp4", width=224, height=192, frames=30)
        run("report", package_copy, "--source", other).assert_refused("another video")
        assert not (package_copy / "report").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["encode", "LONG", "-o", "a.crisp"],
        ["encode", "VIDEO", "-o", "LONG", "--method", "none"],
        ["report", "LONG", "--source", "VIDEO"],
        ["export", "LONG", "--target", "nnapi", "-o", "exported"],
        ["serve", "LONG"],
        ["origin", "LONG", "-o", "origin"],
        ["play", "http://127.0.0.1:9/whep/x", "--no-cache", "--stats", "LONG"],
        ["store", "ls", "--store", "LONG"],
        ["key", "verify", "LONG", "--trust", f"ed25519:{'ab' * 32}"],
    ],
)
def test_what_the_system_refuses_is_one_sentence(
    run, small_video: Path, tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"LONG": "n" * 300, "VIDEO": small_video}
    run(*(given.get(each, each) for each in arguments)).assert_refused("nnn", "File name too long")
    nothing_left(tmp_path)


def test_a_package_is_no_plan(run, small_package: Path) -> None:
    run("inspect", small_package).assert_refused(small_package.name, "plans/*.plan")


def test_a_play_keeps_plans_in_the_users_cache_folder_unless_it_is_told_not_to(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Path | None] = []

    def played(url: str, **options: object) -> PlayStats:
        kept.append(options["cache"])  # type: ignore[arg-type]
        return PlayStats()

    monkeypatch.setattr("client_sdk.play", played)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    url = "http://127.0.0.1:1/whep/x"
    for flags in ([], ["--no-cache"], ["--cache", tmp_path / "own"]):
        assert run("play", url, *flags).code == 0
    assert kept == [tmp_path / "xdg" / "crispcast", None, tmp_path / "own"]
    run("play", url, "--no-cache", "--cache", tmp_path).assert_refused("contradict each other")
    assert "--no-cache" in run("play", "--help").out


@pytest.mark.parametrize("value", ["", "  ", "\n", ","])
def test_a_variable_that_names_no_key_does_not_turn_the_check_of_signatures_off(
    run, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("CRISPCAST_TRUST", value)
    url = "http://127.0.0.1:1/whep/x"
    run("play", url, "--no-cache", "--reconnect", "0").assert_refused("no key to trust")
    assert run("key", "verify", "x.crisp").code != 0


def test_a_key_that_is_given_comes_before_the_variable(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted: list[object] = []

    def played(url: str, **options: object) -> PlayStats:
        trusted.append(options["trust"])
        return PlayStats()

    monkeypatch.setattr("client_sdk.play", played)
    url, key = "http://127.0.0.1:1/whep/x", f"ed25519:{'ab' * 32}"
    monkeypatch.delenv("CRISPCAST_TRUST", raising=False)
    assert run("play", url, "--no-cache").code == 0
    monkeypatch.setenv("CRISPCAST_TRUST", "")
    assert run("play", url, "--no-cache", "--trust", key).code == 0
    monkeypatch.setenv("CRISPCAST_TRUST", f"{key} {key}")
    assert run("play", url, "--no-cache").code == 0
    assert trusted == [(), [key], [key, key]]
