"""Runs jobs on a Ray cluster: each one is a task that Ray places, and does again if its node dies.

    this process ──orders──► tasks on any node ──artefacts──► the store, which all nodes see
         ▲                        │
         └────────news────────────┘   (an actor: what every task says of its progress)

Which bytes come out is the jobs' business, so they are those of the local engine. The store must be
one that all nodes see: a URL (`SharedStore`), or a folder of a file system that they share.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from kernels.errors import CrispcastError
from server.encoding.engine import (
    JobProgress,
    OnProgress,
    Order,
    inputs_done,
    order_of,
    perform,
)
from server.encoding.graph import Job, SourceFile, in_order
from server.encoding.shared_store import SharedStore
from server.encoding.store import Artefact, Store
from server.encoding.store_upkeep import tidy

RETRIES = 5
"""Times that a job is done again whose node or worker was lost."""

_TRAINING = "server.encoding.training_jobs"
_NEWS_SECONDS = 0.5


@dataclass(frozen=True)
class RayEngine:
    """Runs jobs as tasks of a cluster.

    `address`: of the cluster, `auto` for the one that this machine belongs to, None for one of this
    machine alone, which ends with the process. `gpus`: the part of a GPU that a training takes
    where the cluster has any. `threads`: cores that a task takes; 0: one.
    """

    address: str | None = None
    gpus: float = 1.0
    threads: int = 0

    def run(
        self, targets: Sequence[Job], store: Store, on_progress: OnProgress
    ) -> dict[str, Artefact]:
        """See `Engine.run`.

        Of a `SharedStore`, only the targets and their inputs are copied here. Raises CrispcastError
        where the cluster cannot be reached, or lost a job too often.
        """
        ray = connect(self.address)
        jobs = in_order(list(targets))
        if isinstance(store, SharedStore):
            for source in _sources(jobs):
                store.add_source(source.path, source.sha256)
        with _asked(ray, on_progress) as (perform_there, news):
            done = self._run(ray, jobs, store, perform_there, news)
        for target in targets:
            for job in (target, *target.inputs.values()):
                if isinstance(job, Job):
                    store.place(done[job.name].key)
        return done

    def _run(
        self, ray: Any, jobs: list[Job], store: Store, perform_there: Any, news: _News
    ) -> dict[str, Artefact]:
        gpus = self.gpus if ray.cluster_resources().get("GPU", 0) else 0
        done: dict[str, Artefact] = {}
        waiting, running = list(jobs), dict[Any, Job]()
        try:
            while waiting or running:
                for job in [job for job in waiting if inputs_done(job, done)]:
                    waiting.remove(job)
                    trains = job.function.run.__module__ == _TRAINING
                    task = perform_there.options(
                        name=job.name,
                        num_cpus=max(1, self.threads),
                        num_gpus=gpus if trains else 0,
                        max_retries=RETRIES,
                    )
                    running[task.remote(order_of(job, done), store, news.actor)] = job
                finished, _ = ray.wait(list(running), timeout=_NEWS_SECONDS)
                news.pass_on()
                for task in finished:
                    job = running.pop(task)
                    done[job.name] = self._result(ray, task, job)
        except BaseException:
            for task in running:
                ray.cancel(task, force=True)
            raise
        news.pass_on()
        return done

    def _result(self, ray: Any, task: Any, job: Job) -> Artefact:
        try:
            found = ray.get(task)
        except ray.exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except ray.exceptions.RayError as error:
            raise CrispcastError(
                f"the cluster lost job {job.name} {RETRIES + 1} times: {str(error).splitlines()[0]}"
            ) from error
        assert isinstance(found, Artefact)
        return found


def connect(address: str | None) -> Any:
    """Ray, connected. Raises CrispcastError where it is not there or not to be reached."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise CrispcastError(
            "the engine ray needs Ray; pip install 'crispcast[ray]', or use the engine local"
        ) from error
    if not ray.is_initialized():
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise CrispcastError(
                f"no Ray cluster at {address}: {str(error).splitlines()[0]}; start one with "
                "`ray start --head`, or leave --address out for one of this machine"
            ) from error
    return ray


def disconnect() -> None:
    """Leave the cluster; the tasks of this process end."""
    import ray

    ray.shutdown()


def _sources(jobs: Sequence[Job]) -> Iterator[SourceFile]:
    known = set[str]()
    for job in jobs:
        for wanted in job.inputs.values():
            if isinstance(wanted, SourceFile) and wanted.sha256 not in known:
                known.add(wanted.sha256)
                yield wanted


class _News:
    """What tasks say, one after the other; `actor` is where they say it."""

    def __init__(self, ray: Any, actor: Any, on_progress: OnProgress) -> None:
        self._ray, self.actor, self._on_progress = ray, actor, on_progress

    def pass_on(self) -> None:
        """Tell what came since."""
        for said in self._ray.get(self.actor.take.remote()):
            self._on_progress(said)


@contextmanager
def _asked(ray: Any, on_progress: OnProgress) -> Iterator[tuple[Any, _News]]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Here, and not on a node that may be lost.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(num_cpus=0, scheduling_strategy=here)(_Mailbox).remote()
    try:
        yield ray.remote(_perform_there), _News(ray, actor, on_progress)
    finally:
        ray.kill(actor)


class _Mailbox:
    """Holds what tasks say until it is taken."""

    def __init__(self) -> None:
        self._said: list[JobProgress] = []

    def put(self, said: JobProgress) -> None:
        self._said.append(said)

    def take(self) -> list[JobProgress]:
        said, self._said = self._said, []
        return said


def _perform_there(order: Order, store: Store, mailbox: Any) -> Artefact:
    """On a node: do a job, and tell of it, not oftener than anybody looks."""
    import ray

    told = 0.0

    def tell(news: JobProgress) -> None:
        nonlocal told
        now = time.monotonic()
        if news.fraction in (0.0, 1.0) or now - told >= _NEWS_SECONDS:
            told = now
            with suppress(Exception):  # news that are lost are no reason to lose the work
                said = mailbox.put.remote(news)
                if news.fraction == 1.0:
                    ray.get(said)  # before the result is

    if not isinstance(store, SharedStore):
        return perform(order, store, tell)  # a folder that all nodes see, and a lease in it
    own = store.at_home()
    tidy(own)
    with own.leased() as leased:
        return perform(order, leased, tell)
