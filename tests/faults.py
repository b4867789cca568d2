"""Faults for the tests: kills at any change of a folder, small disks, disks that cannot be read,
folders of others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHANGES = frozenset({"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.copyfile"})
"""Python's audit events that tell of them; `open` does too where it is for writing."""

UNREADABLE = Path("/proc/self/mem")
"""A file that can be opened and whose first byte cannot be read: EIO, by the kernel itself."""


def killed_before_change(number: int, folder: Path, run: Callable[[], object]) -> bool:
    """Run in a process that gets SIGKILL just before its change of that number under `folder`.

    The first is 1. False where it came to its end before.
    """
    child = os.fork()
    if not child:
        try:
            sys.addaudithook(_killer(number, str(folder)))
            run()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), "it failed before it was killed"
    return status == -signal.SIGKILL


def done_as_nobody(run: Callable[[], bool]) -> bool:
    """What it gives in a process that owns no file. Skips where that takes rights we lack."""
    if os.geteuid() != 0:
        pytest.skip("only root can become nobody")
    child = os.fork()
    if not child:
        try:
            os.setuid(65_534)
            os._exit(0 if run() else 2)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 2), "it failed"
    return status == 0


def _killer(number: int, folder: str) -> Callable[[str, tuple[Any, ...]], None]:
    done = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        written = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if written or event in CHANGES:
            # What lies in a folder that is being removed is named from there.
            path = str(arguments[0])
            if path.startswith(folder) or not path.startswith("/"):
                done += 1
                if done == number:
                    os.kill(os.getpid(), signal.SIGKILL)

    return hook


@contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """A file system of that size (`tmpfs`: 900k, 2m), in a name space of a process of its own.

    Skips where neither root nor users may mount one.
    """
    script = f"mount -t tmpfs -o size={size} small /mnt && echo mounted && cat"
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    try:
        holder = subprocess.Popen(
            ["unshare", "--mount", *user, "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except FileNotFoundError:
        pytest.skip("needs unshare, of util-linux")
    with holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != "mounted\n":
            pytest.skip("needs the right to mount a small disk (root, or user name spaces)")
        assert holder.stdin is not None
        try:
            yield Path(f"/proc/{holder.pid}/root/mnt")
        finally:
            holder.stdin.close()
