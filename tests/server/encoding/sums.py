"""Job functions for the tests of engines; in a module, so that worker processes find them."""

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
