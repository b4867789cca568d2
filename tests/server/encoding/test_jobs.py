"""What the jobs of an encode write is on the disk, or an error says that it is not."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from server.encoding import jobs


def test_an_array_has_its_bytes_on_the_disk(tmp_path: Path) -> None:
    array = jobs._new_array(tmp_path / "a.npy", (7, 500, 300))
    array[3] = 9
    array.flush()
    facts = (tmp_path / "a.npy").stat()
    assert facts.st_blocks * 512 >= facts.st_size > 7 * 500 * 300
    assert np.load(tmp_path / "a.npy")[3].min() == 9


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot allocate ahead")
def test_a_full_disk_is_an_error_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        jobs._new_array(tmp_path / "a.npy", (7, 500, 300))
