"""Jobs: an encode as pure functions from artefacts to artefacts.

    source file ─┐
                 ├─ Job(function, config, inputs) ──► artefact: a folder of files in the store
    artefacts  ──┘

A job's *key* is the SHA-256 of what determines its result: the contents of its inputs, the settings
it reads, and the code that does the work. So one that was done before is found and not done again,
whatever encode asked for it, and a change of one setting reruns only the jobs that it touches;
where a rerun job gives the same bytes as before, the jobs behind it are not rerun either.
"""

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

Json = Mapping[str, Any]
"""JSON object: what a job's settings are made of, so that they can be hashed."""


class Report(Protocol):
    """Takes a job's own progress: the fraction done, 0 to 1, and a running PSNR in dB."""

    def __call__(self, fraction: float, psnr: float | None = None) -> None: ...


@dataclass(frozen=True)
class Task:
    """All that a job function sees.

    `inputs` are the folders (or the source file) by the job's own names for them; `out` is an empty
    folder for the result; `checkpoint` is a folder that outlives a killed run and is dropped when
    the job is done.
    """

    inputs: Mapping[str, Path]
    config: Json
    out: Path
    checkpoint: Path
    report: Report


@dataclass(frozen=True)
class JobFunction:
    """A module-level function `(Task) -> None` and the modules whose code its result depends on."""

    run: Callable[[Task], None]
    code: tuple[str, ...]

    @property
    def name(self) -> str:
        """`module:function`, by which another process finds it."""
        return f"{self.run.__module__}:{self.run.__name__}"


def job_function(*code: str) -> Callable[[Callable[[Task], None]], JobFunction]:
    """Declare a job function; `code` names the modules and whole packages that it uses."""

    def declare(run: Callable[[Task], None]) -> JobFunction:
        return JobFunction(run, (run.__module__, *code))

    return declare


def find_function(name: str) -> JobFunction:
    """The job function of a `JobFunction.name`."""
    module, function = name.split(":")
    found = getattr(importlib.import_module(module), function)
    assert isinstance(found, JobFunction)
    return found


@dataclass(frozen=True)
class SourceFile:
    """A file from outside the store, known by its content."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Job:
    """One node of the graph. `name` is unique in it and is what progress and errors show."""

    name: str
    function: JobFunction
    config: Json = field(default_factory=dict)
    inputs: Mapping[str, "Job | SourceFile"] = field(default_factory=dict)
    weight: float = 1.0
    """Rough share of an encode's time, for the progress line only."""

    def key(self, input_hashes: Mapping[str, str]) -> str:
        """SHA-256 (hex) of all that determines the result; `input_hashes` are those of `inputs`."""
        facts = {
            "function": self.function.name,
            "code": code_hash(self.function.code),
            "config": self.config,
            "inputs": input_hashes,
        }
        return hashlib.sha256(canonical(facts)).hexdigest()


def canonical(value: object) -> bytes:
    """The one JSON text of a value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def hash_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def code_hash(modules: tuple[str, ...]) -> str:
    """SHA-256 (hex) of the sources of modules and packages.

    A package's sources are its Python files and the tables and bases beside them. Of what is
    compiled, the machine code counts that would run and not the C++, which an installed package
    need not have, and which may be newer than it: of equal sources and compilers it is equal.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parents[2]
    for module in modules:
        path = root.joinpath(*module.split("."))
        within = [file for file in path.rglob("*") if file.suffix in (".py", ".json", ".plan")]
        sources = sorted(within) if path.is_dir() else [path.with_suffix(".py")]
        for source in sources:
            digest.update(str(source.relative_to(root)).encode() + b"\0")
            digest.update(source.read_bytes())
        for native in _native(module, path):
            digest.update(native.encode() + b"\0")
            digest.update(_machine_code(native).read_bytes())
    return digest.hexdigest()


def _native(module: str, path: Path) -> list[str]:
    """Names of the compiled modules in a package: those that have stubs instead of sources."""
    stubs = sorted(path.rglob("*.pyi"))
    return [".".join((module, *stub.relative_to(path).with_suffix("").parts)) for stub in stubs]


def _machine_code(module: str) -> Path:
    found = importlib.util.find_spec(module)  # an editable install has it elsewhere
    assert found is not None
    assert found.origin is not None
    return Path(found.origin)


def in_order(targets: list[Job]) -> list[Job]:
    """All jobs that the targets need, each after its inputs; the order is the same every time."""
    ordered: dict[str, Job] = {}

    def visit(job: Job) -> None:
        if job.name in ordered:
            assert ordered[job.name] is job, f"two jobs are named {job.name}"
            return
        for wanted in job.inputs.values():
            if isinstance(wanted, Job):
                visit(wanted)
        ordered[job.name] = job

    for target in targets:
        visit(target)
    return list(ordered.values())


def join_graphs(graphs: Mapping[str, Job]) -> dict[str, Job]:
    """The last jobs of graphs, by label, that share what is equal in them, to be run as one.

    A job whose function, settings and inputs are those of another's becomes one with it; where
    different ones have one name, the later ones' have the label before it.
    """
    known: dict[str, Job] = {}
    names: set[str] = set()

    def visit(job: Job, label: str) -> tuple[str, Job]:
        inputs: dict[str, Job | SourceFile] = {}
        facts: dict[str, str] = {}
        for name, wanted in job.inputs.items():
            if isinstance(wanted, Job):
                facts[name], inputs[name] = visit(wanted, label)
            else:
                facts[name], inputs[name] = wanted.sha256, wanted
        key = hashlib.sha256(
            canonical([job.function.name, job.config, sorted(facts.items())])
        ).hexdigest()
        if key not in known:
            name = f"{label} {job.name}" if job.name in names else job.name
            names.add(name)
            known[key] = replace(job, name=name, inputs=inputs)
        return key, known[key]

    return {label: visit(job, label)[1] for label, job in graphs.items()}
