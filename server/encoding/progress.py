"""How far an encode is: what people see of it while it runs."""

from collections.abc import Callable
from dataclasses import dataclass

from server.encoding.engine import JobProgress
from server.encoding.graph import Job


@dataclass(frozen=True)
class EncodeProgress:
    """How far an encode is: the job at work, the fraction of it all, a running PSNR in dB."""

    job: str
    fraction: float
    psnr: float | None
    reused: bool


OnProgress = Callable[[EncodeProgress], None]


class Tracker:
    """Adds up the progress of jobs to that of the encode."""

    def __init__(self, ordered: list[Job], on_progress: OnProgress | None) -> None:
        self._weights = {job.name: job.weight for job in ordered}
        self._done = dict.fromkeys(self._weights, 0.0)
        self._on_progress = on_progress
        self.reused: list[str] = []

    def __call__(self, news: JobProgress) -> None:
        self._done[news.job] = news.fraction
        if news.reused:
            self.reused.append(news.job)
        if self._on_progress is not None:
            done = sum(self._weights[name] * self._done[name] for name in self._weights)
            fraction = done / sum(self._weights.values())
            self._on_progress(EncodeProgress(news.job, fraction, news.psnr, news.reused))
