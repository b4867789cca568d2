"""Exports a package for phones: Core ML and NNAPI models, and the SDK sources an app embeds.

Not there yet: a package plays in the reference client only. What exists of the way is the contract
(`client_sdk.contract`) and the plans (`kernels.compiler.decode_plan`), which exporters will read.
"""

from pathlib import Path

from kernels.errors import CrispcastError


def export(package: Path, target: str) -> None:
    """Export a package for `target`, "coreml" or "nnapi".

    Raises CrispcastError: this version has no exporter.
    """
    raise CrispcastError(
        f"{package} cannot be exported to {target}: this version has no mobile export; "
        "play it with `crispcast play`"
    )
