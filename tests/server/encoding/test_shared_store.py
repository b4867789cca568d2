"""Artefacts at a URL: found by other machines, checked when they come, made again when wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kernels.errors import CrispcastError
from server.encoding import shared_store
from server.encoding.engine import LocalEngine
from server.encoding.graph import Job, SourceFile, hash_file
from server.encoding.shared_store import SharedStore, open_any_store
from server.encoding.store import Store
from server.encoding.store_upkeep import list_store, tidy
from tests.server.encoding.sums import length

fsspec = pytest.importorskip("fsspec", reason="stores at URLs need crispcast[ray]")

KEY = "ab" + "0" * 62


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file://{tmp_path}/far" if request.param == "file" else f"memory://{tmp_path.name}"


def make(store: Store, content: bytes = b"content") -> None:
    with store.working(KEY) as (out, _):
        (out / "deep").mkdir()
        (out / "deep" / "result").write_bytes(content)
        store.finish(KEY, "test")


def make_named(store: Store, name: str) -> str:
    """As a job whose files are named by their hashes, and differ from machine to machine."""
    with store.working(KEY) as (out, _):
        (out / name).write_bytes(name.encode())
        (out / "names.json").write_text(json.dumps([name]))
        return store.finish(KEY, "test").sha256


def there(store: SharedStore, name: str) -> str:
    return f"{store.url}/objects/ab/{KEY}/{name}"


def files_there(store: SharedStore) -> dict[str, bytes]:
    """Those of the artefact, by name inside of it."""
    files, folder = fsspec.core.url_to_fs(there(store, ""))
    folder = folder.rstrip("/")
    return {name.removeprefix(f"{folder}/"): files.cat_file(name) for name in files.find(folder)}


def test_another_machine_finds_what_one_made(url: str, tmp_path: Path) -> None:
    make(SharedStore(url, tmp_path / "one"))
    other = SharedStore(url, tmp_path / "two")
    found = other.find(KEY)
    assert found is not None
    assert (found.folder / "deep" / "result").read_bytes() == b"content"
    assert found.folder.is_relative_to(tmp_path / "two")
    assert other.place(KEY) == found.folder
    assert SharedStore(url, tmp_path / "three").find("cd" + "0" * 62) is None
    assert list((tmp_path / "two" / "partial").iterdir()) == []


def test_half_an_upload_is_nothing(url: str, tmp_path: Path) -> None:
    one = SharedStore(url, tmp_path / "one")
    make(one)
    fsspec.open(there(one, "artefact.json")).fs.rm_file(
        fsspec.core.url_to_fs(there(one, "artefact.json"))[1]
    )
    assert SharedStore(url, tmp_path / "two").find(KEY) is None
    with pytest.raises(CrispcastError, match="lost artefact ab0"):
        SharedStore(url, tmp_path / "two").place(KEY)


def test_a_machine_that_is_lost_in_the_midst_of_sending_spoils_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, other = (SharedStore(url, tmp_path / name) for name in ("one", "two"))
    put = lost._files.put_file

    def only_one(here: str, there: str) -> None:
        if files_there(lost):
            raise PermissionError("lost")
        put(here, there)

    with monkeypatch.context() as patch:
        patch.setattr(lost._files, "put_file", only_one)
        with pytest.raises(CrispcastError, match="lost"):
            make_named(lost, "AAAA.avif")
    assert len(files_there(lost)) == 1
    made = make_named(other, "BBBB.avif")
    third = SharedStore(url, tmp_path / "three").find(KEY)
    assert third is not None
    assert third.sha256 == made
    assert sorted(path.name for path in third.folder.iterdir()) == [
        "BBBB.avif",
        "artefact.json",
        "names.json",
    ]


def test_of_two_that_send_at_once_one_counts_and_is_whole(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (SharedStore(url, tmp_path / name) for name in ("one", "two"))
    put = one._files.put_file
    made: list[str] = []

    def meanwhile(here: str, there: str) -> None:
        put(here, there)
        if not made:
            made.append("")
            made[0] = make_named(two, "BBBB.avif")

    with monkeypatch.context() as patch:
        patch.setattr(one._files, "put_file", meanwhile)
        first = make_named(one, "AAAA.avif")
    assert first != made[0]
    found = SharedStore(url, tmp_path / "three").find(KEY)
    assert found is not None
    assert found.sha256 == first  # the last marker's


def test_what_is_damaged_there_is_sent_again_by_who_has_it(url: str, tmp_path: Path) -> None:
    one = SharedStore(url, tmp_path / "one")
    make(one)
    (name,) = (name for name in files_there(one) if name.endswith("result"))
    with fsspec.open(there(one, name), "wb") as file:
        file.write(b"contenu")
    with pytest.raises(CrispcastError, match="start the encode again"):
        SharedStore(url, tmp_path / "two").place(KEY)
    assert SharedStore(url, tmp_path / "one").find(KEY) is not None  # which sends it
    folder = SharedStore(url, tmp_path / "two").place(KEY)
    assert (folder / "deep" / "result").read_bytes() == b"content"


def test_what_was_sent_before_files_had_a_folder_is_found(url: str, tmp_path: Path) -> None:
    near = Store(tmp_path / "one")
    make(near)
    files, folder = fsspec.core.url_to_fs(f"{url}/objects/ab/{KEY}")
    files.makedirs(f"{folder}/deep")
    for name in ("deep/result", "artefact.json"):
        files.put_file(str(near.object(KEY) / name), f"{folder}/{name}")
    found = SharedStore(url, tmp_path / "two").find(KEY)
    assert found is not None
    assert (found.folder / "deep" / "result").read_bytes() == b"content"


def test_an_artefact_without_files_is_one(url: str, tmp_path: Path) -> None:
    one = SharedStore(url, tmp_path / "one")
    with one.working(KEY):
        one.finish(KEY, "test")
    assert SharedStore(url, tmp_path / "two").find(KEY) is not None


def test_a_store_that_lies_is_not_believed(url: str, tmp_path: Path) -> None:
    one = SharedStore(url, tmp_path / "one")
    make(one)
    (name,) = (name for name in files_there(one) if name.endswith("deep/result"))
    with fsspec.open(there(one, name), "wb") as file:
        file.write(b"contenu")
    two = SharedStore(url, tmp_path / "two")
    assert two.find(KEY) is None
    make(two)
    assert SharedStore(url, tmp_path / "three").find(KEY) is not None
    with fsspec.open(there(one, "artefact.json"), "wb") as file:
        file.write(json.dumps({"job": "test", "sha256": "0" * 64}).encode())
    assert SharedStore(url, tmp_path / "four").find(KEY) is None


def test_videos_come_along(url: str, tmp_path: Path) -> None:
    video = tmp_path / "video"
    video.write_bytes(b"a video")
    sha256 = hash_file(video)
    one = SharedStore(url, tmp_path / "one")
    assert one.source(video, sha256) == video  # it is here: nothing is fetched
    one.add_source(video, sha256)
    two = SharedStore(url, tmp_path / "two")
    got = two.source(Path("/not/here"), sha256)
    assert got.read_bytes() == b"a video"
    assert [kept.bytes for kept in list_store(two)] == [7]
    assert tidy(two, limit=0).bytes == 7
    assert not got.exists()
    with fsspec.open(f"{url}/sources/{sha256}", "wb") as file:
        file.write(b"another")
    with pytest.raises(CrispcastError, match="damaged"):
        SharedStore(url, tmp_path / "three").source(Path("/not/here"), sha256)


def test_a_place_that_cannot_be_reached_is_one_sentence(tmp_path: Path) -> None:
    for wrong in ("nothing://bucket", "file:///proc/nowhere/store"):
        with pytest.raises(CrispcastError, match="cannot be reached"):
            make(SharedStore(wrong, tmp_path / "cache"))


def test_a_store_is_a_folder_or_a_url(url: str, tmp_path: Path) -> None:
    near, far = open_any_store(tmp_path / "near"), open_any_store(url, tmp_path / "cache")
    assert not isinstance(near, SharedStore)
    assert isinstance(far, SharedStore)
    assert (near.root, far.root) == (tmp_path / "near", tmp_path / "cache")


def test_the_local_engine_works_over_it(url: str, tmp_path: Path) -> None:
    video = tmp_path / "video"
    video.write_bytes(b"a video")
    job = Job("length", length, {}, {"source": SourceFile(video, hash_file(video))})
    near, far = (SharedStore(url, tmp_path / name) for name in ("one", "two"))
    made = LocalEngine(1).run([job], near, lambda _: None)["length"]
    assert (made.folder / "value").read_text() == "7"
    found = far.find(made.key)
    assert found is not None
    assert found.sha256 == made.sha256


def test_tidying_leaves_what_is_on_its_way(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(SharedStore(url, tmp_path / "one"))
    two = SharedStore(url, tmp_path / "two")
    fetch = two._files.get_file

    def slowly(there: str, here: str) -> None:
        tidy(Store(tmp_path / "two"), limit=0)
        fetch(there, here)

    monkeypatch.setattr(two._files, "get_file", slowly)
    assert two.find(KEY) is not None


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_store, "WAITS", (0.0, 0.0, 0.0))


@pytest.mark.usefixtures("impatient")
def test_a_store_that_is_too_busy_is_asked_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (SharedStore(url, tmp_path / name) for name in ("one", "two"))
    asked: list[str] = []

    def busy(name: str, times: int) -> None:
        do = getattr(one._files, name)  # of one scheme there is one for all

        def answer(*arguments: object, **options: object) -> object:
            asked.append(name)
            if asked.count(name) <= times:
                raise OSError(f"503 Slow Down: {name}")
            return do(*arguments, **options)

        monkeypatch.setattr(one._files, name, answer)

    for name in ("exists", "put_file", "get_file"):
        busy(name, 3)
    make(one)
    found = two.find(KEY)
    assert found is not None
    assert (found.folder / "deep" / "result").read_bytes() == b"content"
    assert {name for name in asked if asked.count(name) > 3} == {"exists", "put_file", "get_file"}
    monkeypatch.undo()
    monkeypatch.setattr(shared_store, "WAITS", (0.0,))
    busy("exists", 1000)
    with pytest.raises(CrispcastError, match="cannot be reached: 503 Slow Down: exists"):
        SharedStore(url, tmp_path / "three").find(KEY)


@pytest.mark.usefixtures("impatient")
def test_what_could_not_be_sent_is_sent_by_the_next_run(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = SharedStore(url, tmp_path / "one")

    def down(*_: object) -> None:
        raise OSError("503 Slow Down")

    with monkeypatch.context() as patch:
        patch.setattr(one._files, "put_file", down)
        with pytest.raises(CrispcastError, match="503"):
            make(one)
    assert SharedStore(url, tmp_path / "two").find(KEY) is None
    assert SharedStore(url, tmp_path / "one").find(KEY) is not None
    assert SharedStore(url, tmp_path / "two").find(KEY) is not None


def cut_short(here: Path) -> None:
    here.write_bytes(here.read_bytes()[:-1])


def flip_a_bit(here: Path) -> None:
    data = bytearray(here.read_bytes())
    data[len(data) // 2] ^= 4
    here.write_bytes(data)


def vanish(here: Path) -> None:
    here.unlink()
    raise FileNotFoundError(here)


@pytest.mark.parametrize("lie", [cut_short, flip_a_bit, vanish])
@pytest.mark.parametrize("name", ["artefact.json", "result"])
def test_what_comes_other_than_it_was_sent_is_made_again(
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    lie: Callable[[Path], None],
) -> None:
    one, two, three = (SharedStore(url, tmp_path / each) for each in ("one", "two", "three"))
    make(one)
    fetch = two._files.get_file

    def lying(there: str, here: str) -> None:
        fetch(there, here)
        if Path(here).name == name:
            lie(Path(here))

    with monkeypatch.context() as patch:
        patch.setattr(two._files, "get_file", lying)
        assert two.find(KEY) is None
    assert list((tmp_path / "two" / "partial").iterdir()) == []
    assert list((tmp_path / "two" / "objects").glob("*/*")) == []
    make(two)
    found = three.find(KEY)
    assert found is not None
    assert (found.folder / "deep" / "result").read_bytes() == b"content"
