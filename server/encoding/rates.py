"""Rates as people write them on a command line."""

from kernels.errors import CrispcastError


def parse_bitrate(text: str) -> int:
    """Bits a second from `250k`, `1.5M` or `250000`. Raises CrispcastError on anything else."""
    factor = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower(), 1)
    digits = text[:-1] if factor > 1 else text
    try:
        bitrate = round(float(digits) * factor)
    except (ValueError, OverflowError):
        bitrate = 0
    if bitrate <= 0:
        raise CrispcastError(f"bit rate {text!r} is not understood; write it as 250k or 1.5M")
    return bitrate


def parse_ladder(text: str) -> tuple[float, ...] | str:
    """`auto`, or bit rates in kb/s as `150,300,600`. Raises CrispcastError on anything else."""
    if text == "auto":
        return text
    try:
        return tuple(float(rate) for rate in text.split(","))
    except ValueError:
        raise CrispcastError(
            f"ladder {text!r} is not understood; write kb/s as 150,300,600, or auto"
        ) from None
