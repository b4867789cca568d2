"""What a user sees on stderr while an encode or a report runs: one live line with ETA and PSNR."""

import sys
import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from server.encoding.config import EncodeConfig
from server.encoding.progress import EncodeProgress


class _Psnr(ProgressColumn):
    """The running PSNR of what is being trained, where there is one."""

    def render(self, task: Task) -> Text:
        psnr = task.fields.get("psnr")
        return Text("" if psnr is None else f"{psnr:5.2f} dB")


class _Line:
    """A live line on stderr; silent where stderr is not a terminal."""

    def __init__(self, title: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            _Psnr(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
        )
        self._task = self._progress.add_task(title, total=1.0)

    def __enter__(self) -> Self:
        if self._progress.console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()


class EncodeDisplay(_Line):
    """Shows the progress of an encode; pass it as `on_progress`."""

    def __init__(self) -> None:
        super().__init__("encoding")

    def __call__(self, progress: EncodeProgress) -> None:
        self._progress.update(
            self._task,
            description=f"{progress.job}{' (had)' if progress.reused else ''}",
            completed=progress.fraction,
            psnr=progress.psnr,
        )


class ManyDisplay(_Line):
    """Shows the progress of several encodes, a line each and one for all; pass it as `on_progress`.

    `total`: how many there are. Several threads may call it.
    """

    def __init__(self, total: int) -> None:
        super().__init__("all")
        self._total = total
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __call__(self, config: EncodeConfig, progress: EncodeProgress) -> None:
        name = config.source.name
        with self._lock:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=1.0)
            self._progress.update(
                self._tasks[name],
                description=f"{name}: {progress.job}",
                completed=progress.fraction,
                psnr=progress.psnr,
                visible=progress.fraction < 1,
            )
            tasks = [task for task in self._progress.tasks if task.id != self._task]
            self._progress.update(
                self._task,
                completed=sum(task.completed for task in tasks),
                total=self._total,
            )


class FrameDisplay(_Line):
    """Shows how many of the frames are done; pass it as `on_progress`."""

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done / total)
