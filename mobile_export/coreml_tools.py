"""Loading coremltools: late, quietly, and without torch.

It looks for torch, TensorFlow and scikit-learn only to convert from them; our programs are written
in its intermediate language (MIL), so none is needed. It also says, one warning each, that the
parts of it that need a Mac are not there.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import cache
from typing import Any

from kernels.errors import CrispcastError


@cache
def coremltools() -> Any:
    """The module; raises CrispcastError where it is not installed."""
    # An entry of None makes `import torch` fail at once, which saves the seconds that it takes.
    hidden = "torch" not in sys.modules
    if hidden:
        sys.modules["torch"] = None  # type: ignore[assignment]
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        import coremltools as found
    except ModuleNotFoundError as error:
        raise CrispcastError(
            f"Core ML export needs {error.name}: pip install 'crispcast[export]'"
        ) from None
    finally:
        logging.disable(before)
        if hidden:
            del sys.modules["torch"]
    if importlib.util.find_spec("coremltools.libmilstoragepython") is None:
        raise CrispcastError(
            "this coremltools cannot write models on this machine: install a wheel of it for "
            "Linux or macOS"
        )
    return found


@contextmanager
def quietly() -> Iterator[None]:
    """Without the progress bars that conversions write to stderr."""
    with redirect_stderr(io.StringIO()):
        yield
