"""What is shown while work goes on."""

from __future__ import annotations

from pathlib import Path

from rich.progress import TextColumn

from server.encoding.config import EncodeConfig
from server.encoding.display import ManyDisplay
from server.encoding.progress import EncodeProgress


def test_names_are_shown_as_they_are_whatever_brackets_they_have() -> None:
    display = ManyDisplay(1)
    name = "talk [red] [x264].mp4"
    config = EncodeConfig(source=Path(name), output=Path("talk.crisp"))
    display(config, EncodeProgress("training", 0.5, None, False))
    progress = display._progress
    column = progress.columns[0]
    assert isinstance(column, TextColumn)
    assert column.render(progress.tasks[-1]).plain == f"{name}: training"
