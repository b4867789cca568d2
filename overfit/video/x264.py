"""Rungs in H.264: no B-frames (browsers play WebRTC in decoding order), the same bytes each time.

Choices of the encoder that follow the machine are pinned.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kernels.errors import VideoError
from kernels.runtime import available_isas
from overfit.video.frames import Planes, VideoInfo
from overfit.video.rung_config import RungConfig
from overfit.video.rung_file import Encoder, encode

PROFILE = "high"
MOST_PASSES = 2
_THREADS = 2
"""x264's output depends on their number, so it does not follow the machine."""


def write(
    planes: Callable[[], Iterable[Planes]],
    path: Path,
    info: VideoInfo,
    starts: Sequence[int],
    config: RungConfig,
) -> tuple[int, tuple[int, int]]:
    """Encodes to `path`, in two passes where there is a bit rate; frames and (width, height)."""
    if config.bitrate is None:
        return encode(iter(planes()), path, info, starts, _encoder(config, ""))
    with tempfile.TemporaryDirectory() as folder:
        stats = os.path.join(folder, "stats")
        if ":" in stats:
            raise VideoError(f"{folder}: x264 cannot keep statistics under a path with ':'")
        scratch = Path(folder, "first.mp4")
        first = _encoder(config, f":pass=1:stats={stats}")
        encode(iter(planes()), scratch, info, starts, first)
        second = _encoder(config, f":pass=2:stats={stats}")
        return encode(iter(planes()), path, info, starts, second)


def _encoder(config: RungConfig, passes: str) -> Encoder:
    options = {"preset": config.preset, "forced-idr": "1"}
    if config.crf is not None:
        options["crf"] = f"{config.crf:g}"
    options["x264-params"] = _params(config, passes)
    # x264 writes its settings into an SEI: 700 bytes a viewer has no use for.
    cleaning = "filter_units=remove_types=6"
    return Encoder("libx264", options, "High", config.bitrate, cleaning)


def _params(config: RungConfig, passes: str) -> str:
    params = {
        "keyint": "infinite",
        "min-keyint": "1",
        "scenecut": "0",
        "open-gop": "0",
        "bframes": "0",
        # Four references keep small rungs inside the levels that phones' decoders take.
        "ref": "4",
        # What is shown is a network's output, trained to the least squared error: bits that
        # psycho-visual tuning spends on grain are lost to it.
        "psy": "0",
        # Nor does the least squared error gain by bits moved from busy blocks to flat ones.
        "aq-mode": "0",
        "threads": str(_THREADS),
        "lookahead-threads": "1",
        "sliced-threads": "0",
        "force-cfr": "1",
    }
    if config.still:
        # Blocks that are often referred to are those that stand still: they are not coded finer.
        params["mbtree"] = "0"
    params |= same_each_time()
    if config.bitrate is not None and "pass=2" in passes:
        # How full the buffer is depends on how far the other thread has come: with one thread, and
        # without a buffer in the first pass, the bytes are the same every time.
        kbps = config.bitrate // 1000
        params |= {"vbv-maxrate": str(2 * kbps), "vbv-bufsize": str(4 * kbps), "threads": "1"}
    return ":".join(f"{key}={value}" for key, value in params.items()) + passes


def same_each_time() -> dict[str, str]:
    """Parameters without which libx264 gives other bytes now and then."""
    # Of libx264 165's code for AVX-512, some reads memory it never wrote: on small pictures up to
    # one encode in sixty came out different. Without it 5500 came out the same.
    return {"asm": "avx2"} if "avx512" in available_isas() else {}
