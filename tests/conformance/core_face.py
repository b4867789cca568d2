"""The SDK core as the Python client has it, played by steps: what its thread does, without one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from client_sdk.asset_tasks import AssetTasks
from client_sdk.cache import AssetCache
from client_sdk.core import Delivery, Session, Task, TaskKind
from client_sdk.upscaler import Planes
from kernels.errors import CrispcastError


@dataclass
class Outcome:
    """What came of a step: `facts` as recorded, and the HR planes of a frame that is shown."""

    facts: dict[str, Any]
    planes: bytes = b""


class CoreFace:
    """Plays the steps of a case; each gives its outcome."""

    def __init__(self, isa: str = "portable") -> None:
        self._isa = isa
        self._asked: list[str] = []
        self._now = 0

    def play(self, step: dict[str, Any]) -> Outcome:
        """Do one step and the tasks that follow from it."""
        self._asked = []
        outcome = Outcome({})
        try:
            made = getattr(self, f"do_{step['do']}")(**{k: v for k, v in step.items() if k != "do"})
            outcome = made or outcome
            if step["do"] in ("message", "piece"):
                outcome.facts["refused"] = 0
        except CrispcastError:
            outcome.facts["refused"] = 1
        if step["do"] not in ("base", "picture", "signature"):
            self._now += 40
            while (task := self._session.next_task(self._now)) is not None:
                self._do(task)
        if self._asked:
            outcome.facts["asked"] = self._asked
        return outcome

    def do_open(self, loops: int = 0, trust: str = "") -> None:
        self._session = Session(
            threads=1,
            isa=self._isa,
            delivery=Delivery.CHANNEL,
            cache=True,
            loops=bool(loops),
            trust=trust or None,
        )
        self._assets = AssetTasks(self._session, AssetCache())

    def do_base(self, id: str, bytes: bytes) -> None:
        """The client has the shipped bases itself."""

    def do_picture(self, sha256: str, width: int, height: int, bytes: bytes) -> None:
        """Pictures are decoded here."""

    def do_signature(self, bytes: bytes) -> None:
        """Signatures are checked here."""

    def do_connected(self) -> None:
        self._session.connected()

    def do_message(self, bytes: bytes) -> None:
        self._session.message(bytes)

    def do_piece(self, bytes: bytes) -> None:
        self._session.frame_bytes(bytes)

    def do_identify(self, rtp: int, bytes: bytes) -> None:
        self._session.identify(rtp, bytes)

    def do_coded(self, rtp: int, av1: int, bytes: bytes) -> None:
        self._session.coded(rtp, bool(av1), bytes)

    def do_seek(self, frame: int) -> None:
        self._session.seek(frame)

    def do_frame(
        self, rtp: int, width: int, height: int, bytes: bytes, flags: int = 0, columns: int = 0
    ) -> Outcome:
        lr = planes_of(bytes, width, height)
        made = self._session.upscale(lr, rtp_time=rtp, networks=not flags & 1, columns=columns)
        facts: dict[str, Any] = {"number": made.frame}
        if made.planes is None:
            return Outcome({**facts, "shown": 0})
        facts |= {
            "rung": made.rung,
            "shown": 1,
            "landed": int(made.landed),
            "super_resolved": int(made.super_resolved),
            "late": int(made.late),
        }
        return Outcome(facts, b"".join(plane.tobytes() for plane in made.planes))

    def _do(self, task: Task) -> None:
        if task.kind == TaskKind.SEND:
            self._asked += [part[:16] for part in task.data.decode().split('"sha256":"')[1:]]
            return
        with contextlib.suppress(CrispcastError):  # its patches are interpolated
            self._assets.do(task)


def planes_of(data: bytes, width: int, height: int) -> Planes:
    """The planes of I420 without gaps."""
    half = (height + 1) // 2, (width + 1) // 2
    samples = np.frombuffer(data, np.uint8)
    luma, size = width * height, half[0] * half[1]
    return (
        samples[:luma].reshape(height, width),
        samples[luma : luma + size].reshape(half),
        samples[luma + size :].reshape(half),
    )
