"""Engines run a graph of jobs over a store. An engine is thin: what is done stands in the jobs.

`local` is here: in this process where one worker is enough (training takes all cores by itself), in
a process pool with one worker per GPU where there are several. `ray_engine` has the other.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol

from server.encoding.graph import Job, Json, SourceFile, Task, find_function, in_order
from server.encoding.store import Artefact, Store


@dataclass(frozen=True)
class JobProgress:
    """News of one job: the fraction done, 0 to 1, a running PSNR in dB, and if it was reused."""

    job: str
    fraction: float
    psnr: float | None = None
    reused: bool = False


OnProgress = Callable[[JobProgress], None]


class Engine(Protocol):
    """Runs jobs in any order and place, so long as each comes after its inputs."""

    def run(
        self, targets: Sequence[Job], store: Store, on_progress: OnProgress
    ) -> dict[str, Artefact]:
        """The artefacts, by job name, of the targets and of all jobs that they need."""
        ...


@dataclass(frozen=True)
class Order:
    """A job whose inputs are there: what a worker needs, and nothing that does not pickle.

    `inputs`: keys of artefacts, and source files.
    """

    name: str
    function: str
    key: str
    config: Json
    inputs: Mapping[str, str | SourceFile]


def order_of(job: Job, done: Mapping[str, Artefact]) -> Order:
    """The order of a job, all of whose inputs are done."""
    inputs: dict[str, str | SourceFile] = {}
    hashes: dict[str, str] = {}
    for name, wanted in job.inputs.items():
        if isinstance(wanted, Job):
            inputs[name], hashes[name] = done[wanted.name].key, done[wanted.name].sha256
        else:
            inputs[name], hashes[name] = wanted, wanted.sha256
    return Order(job.name, job.function.name, job.key(hashes), dict(job.config), inputs)


def perform(order: Order, store: Store, on_progress: OnProgress) -> Artefact:
    """Find the artefact of an order in the store, or make it."""
    found = store.find(order.key)
    if found is None:
        with store.working(order.key) as (out, checkpoint):
            # Another process may have made it while this one waited for the lock.
            found = store.find(order.key)
            if found is None:

                def report(fraction: float, psnr: float | None = None) -> None:
                    on_progress(JobProgress(order.name, fraction, psnr))

                report(0.0)
                inputs = {
                    name: store.place(wanted)
                    if isinstance(wanted, str)
                    else store.source(wanted.path, wanted.sha256)
                    for name, wanted in order.inputs.items()
                }
                function = find_function(order.function)
                function.run(Task(inputs, order.config, out, checkpoint, report))
                found = store.finish(order.key, order.name)
                on_progress(JobProgress(order.name, 1.0))
                return found
    on_progress(JobProgress(order.name, 1.0, reused=True))
    return found


@dataclass(frozen=True)
class LocalEngine:
    """Runs jobs on this machine with `workers` processes; 0 = one per GPU, at least one."""

    workers: int = 0

    def run(
        self, targets: Sequence[Job], store: Store, on_progress: OnProgress
    ) -> dict[str, Artefact]:
        """See `Engine.run`."""
        jobs = in_order(list(targets))
        workers = min(self.workers or _gpus() or 1, len(jobs))
        if workers <= 1:
            done: dict[str, Artefact] = {}
            for job in jobs:
                done[job.name] = perform(order_of(job, done), store, on_progress)
            return done
        return _run_pool(jobs, store, on_progress, workers)


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


def _run_pool(
    jobs: list[Job], store: Store, on_progress: OnProgress, workers: int
) -> dict[str, Artefact]:
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    news: Any = context.SimpleQueue()
    slots = context.SimpleQueue()
    for slot in range(workers):
        slots.put(slot)
    listener = threading.Thread(target=_listen, args=(news, on_progress), daemon=True)
    listener.start()
    done: dict[str, Artefact] = {}
    waiting = list(jobs)
    running: dict[Future[Artefact], Job] = {}
    pool = ProcessPoolExecutor(workers, context, _start_worker, (news, slots))
    try:
        while waiting or running:
            ready = [job for job in waiting if inputs_done(job, done)]
            for job in ready:
                waiting.remove(job)
                order = order_of(job, done)
                running[pool.submit(_perform_remote, order, store)] = job
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                done[running.pop(future).name] = future.result()
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        news.put(None)
        listener.join()
    return done


def inputs_done(job: Job, done: Mapping[str, Artefact]) -> bool:
    """Whether a job may start."""
    return all(wanted.name in done for wanted in job.inputs.values() if isinstance(wanted, Job))


def _listen(news: Any, on_progress: OnProgress) -> None:
    while (progress := news.get()) is not None:
        on_progress(progress)


_news: Any = None


def _start_worker(news: Any, slots: Any) -> None:
    global _news
    _news = news
    slot = slots.get()
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(slot)


def _perform_remote(order: Order, store: Store) -> Artefact:
    return perform(order, store, _news.put)
