"""Several wait for one work, and some of them leave."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging

import pytest

from kernels.errors import PackageError
from server.shared_work import SharedWork


def test_who_leaves_ends_it_for_nobody_and_it_is_done_once() -> None:
    async def run() -> None:
        shared: SharedWork[str, int] = SharedWork()
        may_end = asyncio.Event()
        begun: list[str] = []

        async def work() -> int:
            begun.append("a")
            await may_end.wait()
            return 7

        first, second = [asyncio.create_task(shared.do("a", work)) for _ in range(2)]
        await asyncio.sleep(0)
        first.cancel()
        may_end.set()
        assert await second == 7
        assert begun == ["a"]
        assert await shared.do("a", work) == 7
        assert begun == ["a", "a"]

    asyncio.run(run())


def test_a_failure_is_raised_to_all_who_wait_and_logged_for_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        shared: SharedWork[str, int] = SharedWork()
        may_end = asyncio.Event()

        async def work() -> int:
            await may_end.wait()
            raise PackageError("damaged")

        waiting = [asyncio.create_task(shared.do("a", work)) for _ in range(2)]
        await asyncio.sleep(0)
        may_end.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(error) for error in results] == ["damaged"] * 2
        may_end.clear()
        alone = asyncio.create_task(shared.do("a", work))
        await asyncio.sleep(0)
        alone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await alone
        may_end.set()
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert caplog.text == ""
