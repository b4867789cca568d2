"""Files of a package are read and written where they are, whole, and never by way of a link."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from client_sdk.contract.plain_files import open_plain, write_whole
from kernels.errors import PackageError


def make_link(path: Path) -> None:
    path.with_name("elsewhere").write_bytes(b"theirs")
    path.symlink_to(path.with_name("elsewhere"))


def make_loose_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


@pytest.mark.parametrize("make", [make_link, make_loose_link, os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "one")
    with pytest.raises(PackageError, match=r"one is (a link|no file)"):
        open_plain(tmp_path / "one")


def test_a_file_is_read_and_a_missing_one_told(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"a\r\nb\x1a")
    with open_plain(tmp_path / "one") as file:
        assert file.read() == b"a\r\nb\x1a"
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "two")


@pytest.mark.parametrize("name", ["one", ".one.partial"])
def test_what_a_link_leads_to_is_never_written_over(tmp_path: Path, name: str) -> None:
    make_link(tmp_path / name)
    write_whole(tmp_path / "one", b"ours")
    assert (tmp_path / "elsewhere").read_bytes() == b"theirs"
    assert (tmp_path / "one").read_bytes() == b"ours"
    assert not (tmp_path / "one").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "one"]


def test_what_a_kill_left_is_replaced_and_others_may_read_the_file(tmp_path: Path) -> None:
    (tmp_path / ".one.partial").write_bytes(b"half of something longer")
    (tmp_path / ".one.partial").chmod(0o600)
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "one", b"ours")
    finally:
        os.umask(before)
    assert (tmp_path / "one").read_bytes() == b"ours"
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o644


def test_what_cannot_be_written_leaves_all_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(OSError, match="one"):
        write_whole(tmp_path / "one", b"ours")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
