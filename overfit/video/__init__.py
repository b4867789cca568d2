"""The one place that decodes and encodes video and audio.

source file --probe--> VideoInfo
            --read_frames--> HR frames (I420, upright, constant rate)
                  --downscale--> LR planes --write_rung--> video/<rung>.mp4
                                                --read_rung--> the decoded LR frames
            --write_audio--> audio/track.ogg
"""

from overfit.video.audio import AudioTrack, write_audio
from overfit.video.frames import Colour, Frame, Planes, VideoInfo
from overfit.video.rung_config import (
    DEFAULT_CRF,
    LARGEST_CRF,
    Codec,
    Effort,
    RungConfig,
    RungFacts,
)
from overfit.video.rung_file import read_rung
from overfit.video.rungs import (
    PaddedSize,
    check_scale,
    downscale,
    pad,
    padded_size,
    write_rung,
)
from overfit.video.source import probe, read_frames

__all__ = [
    "DEFAULT_CRF",
    "LARGEST_CRF",
    "AudioTrack",
    "Codec",
    "Colour",
    "Effort",
    "Frame",
    "PaddedSize",
    "Planes",
    "RungConfig",
    "RungFacts",
    "VideoInfo",
    "check_scale",
    "downscale",
    "pad",
    "padded_size",
    "probe",
    "read_frames",
    "read_rung",
    "write_audio",
    "write_rung",
]
