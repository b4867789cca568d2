"""Several videos at once: each its package, and one that fails keeps the others from nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from client_sdk.contract import open_package
from crispcast import main
from kernels.errors import CrispcastError
from server.encoding import EncodeConfig
from server.encoding.many import encode_many, part_of, videos_of


def test_folders_and_files_are_found(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.MKV", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in videos_of([tmp_path])] == ["a.MKV", "b.mp4"]
    assert videos_of([tmp_path / "notes.txt"]) == [tmp_path / "notes.txt"]  # asked for by name


def test_folders_without_videos_and_names_that_meet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CrispcastError, match="has no videos"):
        videos_of([tmp_path])
    with pytest.raises(CrispcastError, match=r"both become a\.crisp"):
        videos_of([tmp_path / "a.mp4", tmp_path / "a.mkv"])


def test_one_that_fails_keeps_the_others_from_nothing(
    small_video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    shutil.copy(small_video, videos / "one.mp4")
    (videos / "broken.mp4").write_bytes(b"no video")
    settings = ("--method", "none", "--json", "--store", str(tmp_path / "store"))
    with pytest.raises(SystemExit) as ended:
        main(["encode", str(videos), "-o", str(tmp_path / "made"), *settings])
    assert ended.value.code == 1
    out, error = capfd.readouterr()
    assert "1 of 2 videos were not encoded" in error
    broken, one = json.loads(out.splitlines()[-1])["packages"]
    assert broken["source"].endswith("broken.mp4")
    assert "broken.mp4" in broken["error"]
    assert one["package"] == str(tmp_path / "made" / "one.crisp")
    assert open_package(tmp_path / "made" / "one.crisp").manifest.source.frames == one["frames"]
    assert not (tmp_path / "made" / "broken.crisp").exists()


def test_parts_are_all_of_it_and_none_twice() -> None:
    videos = [Path(f"{index}.mp4") for index in range(10)]
    parts = [part_of(videos, f"{index}/3") for index in range(3)]
    assert sorted(path for part in parts for path in part) == videos
    assert [len(part) for part in parts] == [4, 3, 3]
    assert part_of(videos, None) == videos


@pytest.mark.parametrize("wrong", ["3/3", "1", "-1/3", "0/0", "a/b"])
def test_parts_that_are_none_are_refused(wrong: str) -> None:
    with pytest.raises(CrispcastError, match="give I/N"):
        part_of([], wrong)


def test_what_is_there_is_passed_over(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (tmp_path / "made" / "a.crisp").mkdir(parents=True)
    with pytest.raises(SystemExit) as ended:
        main(["encode", str(tmp_path), "-o", str(tmp_path / "made"), "--skip-existing", "--json"])
    assert ended.value.code == 0
    assert json.loads(capfd.readouterr().out) == {"packages": []}


@pytest.mark.parametrize("flags", [("--skip-existing",), ("--part", "0/1")])
def test_what_several_may_be_said_of_makes_one_of_several(
    small_video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    made = tmp_path / "made"
    made.mkdir()  # and `videos/*.mp4` is one video today
    with pytest.raises(SystemExit) as ended:
        main(["encode", str(small_video), "-o", str(made), "--method", "none", *flags])
    assert ended.value.code == 0, capfd.readouterr().err
    assert [path.name for path in made.iterdir()] == [f"{small_video.stem}.crisp"]


def test_a_fault_keeps_the_others_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.encoding import pipeline

    def encode(config: EncodeConfig, _: object) -> None:
        if config.source.name == "b.mp4":
            raise RuntimeError("out of memory")

    monkeypatch.setattr(pipeline, "encode", encode)
    configs = [EncodeConfig(Path(f"{n}.mp4"), tmp_path / f"{n}.crisp") for n in "abc"]
    outcomes = encode_many(configs, lambda *_: None)
    assert [outcome.error for outcome in outcomes] == ["", "RuntimeError: out of memory", ""]
