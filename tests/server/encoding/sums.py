"""Job functions for the tests of engines; in a module, so that worker processes find them."""

import os
from pathlib import Path

from server.encoding.graph import Task, job_function


@job_function()
def number(task: Task) -> None:
    (task.out / "value").write_text(str(task.config["value"]))


@job_function()
def add(task: Task) -> None:
    if task.config.get("fails"):
        raise ValueError("asked to fail")
    values = [int((folder / "value").read_text()) for folder in task.inputs.values()]
    task.report(0.5, 30.0)
    (task.out / "value").write_text(str(sum(values) + task.config.get("plus", 0)))


@job_function()
def wait_for_word(task: Task) -> None:
    """Says through one pipe which process it is, and waits for a word through another."""
    folder = Path(task.config["folder"])
    with (folder / "begun").open("w") as begun:
        begun.write(f"{os.getpid()}\n")
    (task.out / "value").write_text((folder / "go").read_text())


@job_function()
def length(task: Task) -> None:
    """Of the source file, in bytes."""
    (task.out / "value").write_text(str(task.inputs["source"].stat().st_size))


@job_function()
def devices(task: Task) -> None:
    """Says through one pipe which GPUs it sees, and waits for a word through another."""
    folder = Path(task.config["folder"])
    with (folder / "begun").open("w") as begun:
        begun.write(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
    (folder / "go").read_text()
