"""The flags of `crispcast serve`: one for each setting, as Typer has them."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from server.settings import Settings
from server.settings_sources import flag, flag_value


def setting_flags() -> list[Any]:
    """A text option for each setting; what is given stands in the context's `meta`."""

    def keep(ctx: typer.Context, param: typer.CallbackParam, value: str | None) -> None:
        if value is not None:
            ctx.meta[param.name or ""] = value

    hints: dict[str, Any] = {
        name: Annotated[
            str | None,
            typer.Option(
                flag(name),
                help=field.description,
                show_default=flag_value(field.get_default()),
                metavar="VALUE",
                callback=keep,
                expose_value=False,
                rich_help_panel="Settings",
            ),
        ]
        for name, field in Settings.model_fields.items()
    }

    def flags() -> None: ...

    # Typer makes options of a function's parameters, so here is one that has them.
    flags.__annotations__ = hints
    vars(flags)["__signature__"] = inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
            for name, hint in hints.items()
        ]
    )
    made = typer.Typer(add_completion=False)
    made.command()(flags)
    return [option for option in typer.main.get_command(made).params if option.name in hints]
