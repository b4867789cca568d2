"""Engines run a graph of jobs over a store. An engine is thin: what is done stands in the jobs.

`local` is here: in this process where one worker is enough (training takes all cores by itself), in
a process pool with one worker per GPU where there are several. `ray_engine` has the other.
"""

import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

from kernels.errors import CrispcastError
from server.encoding.graph import Job, Json, SourceFile, Task, find_function, in_order
from server.encoding.store import Artefact, Store

RETRIES = 5
"""Times that jobs are begun again one of whose workers was lost; each goes on where it was."""

log = logging.getLogger("crispcast.encode")


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


def _devices() -> list[str]:
    """The GPUs that workers share, as CUDA_VISIBLE_DEVICES names them.

    Where that is set (Slurm, Kubernetes), those that it names; none where there are none.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(index) for index in range(_gpus())]
    return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]


def _run_pool(
    jobs: list[Job], store: Store, on_progress: OnProgress, workers: int
) -> dict[str, Artefact]:
    """Raises CrispcastError where workers are lost again and again, as by a lack of memory."""
    done: dict[str, Artefact] = {}
    for _ in range(RETRIES + 1):
        try:
            _fill(done, jobs, store, on_progress, workers)
            return done
        except BrokenProcessPool:
            log.warning("a worker process was killed; its job is gone on with")
    raise CrispcastError(
        f"worker processes were killed {RETRIES + 1} times: where memory is short, "
        f"--workers {workers - 1} needs less of it"
    )


def _fill(
    done: dict[str, Artefact],
    jobs: list[Job],
    store: Store,
    on_progress: OnProgress,
    workers: int,
) -> None:
    """Add the artefacts of the jobs that are not among `done`.

    Raises BrokenProcessPool where a worker is lost, and takes the others away.
    """
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    heard, news = context.Pipe(duplex=False)
    taken, slots = context.Pipe(duplex=False)
    os.write(slots.fileno(), bytes(range(workers)))
    listener = threading.Thread(target=_listen, args=(heard, on_progress), daemon=True)
    listener.start()
    waiting = [job for job in jobs if job.name not in done]
    running: dict[Future[Artefact], Job] = {}
    pool = ProcessPoolExecutor(workers, context, _start_worker, (news, taken, _devices()))
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
        for end in (slots, taken, news):
            end.close()  # and the listener comes to the end of the news
        listener.join()


def inputs_done(job: Job, done: Mapping[str, Artefact]) -> bool:
    """Whether a job may start."""
    return all(wanted.name in done for wanted in job.inputs.values() if isinstance(wanted, Job))


def _listen(heard: "Connection[Any, Any]", on_progress: OnProgress) -> None:
    with closing(heard), suppress(EOFError):
        while True:
            on_progress(heard.recv())


_news: Any = None


def _start_worker(
    news: "Connection[Any, Any]", slots: "Connection[Any, Any]", devices: list[str]
) -> None:
    """`news` is written and `slots` read by all workers, by one system call a message.

    So a worker that is killed leaves no half of one behind, and no lock that others wait for. Each
    has one of `devices` (`_devices`); of more workers than those, some share one.
    """
    global _news
    _news = news
    threading.Thread(target=_end_with_parent, daemon=True).start()
    slot = os.read(slots.fileno(), 1)[0]
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]


def _end_with_parent() -> None:
    """Nobody waits for the work of a worker whose parent was killed, and it would never end."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _perform_remote(order: Order, store: Store) -> Artefact:
    return perform(order, store, _news.send)
