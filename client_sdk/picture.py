"""Planes of PyAV frames as numpy arrays, without a copy."""

from __future__ import annotations

from typing import Any

import av
import numpy as np

from client_sdk.contract import sei
from client_sdk.upscaler import Plane, Planes
from kernels.errors import StreamError


def plane_view(plane: Any) -> Plane:
    """The samples [height, width] u8 of an `av.video.plane.VideoPlane`; writes go through."""
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def planes_of(frame: av.VideoFrame) -> Planes:
    """Views of the Y, U and V planes of a decoded 8-bit 4:2:0 frame, which they keep alive.

    Raises StreamError for another pixel format.
    """
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        raise StreamError(f"the stream decodes to {frame.format.name}, not to 8-bit 4:2:0")
    y, u, v = (plane_view(plane) for plane in frame.planes)
    return y, u, v


def fill(frame: av.VideoFrame, planes: Planes) -> None:
    """Write planes into a frame of the same size or up to one sample larger.

    The last row and column are repeated where the frame is larger.
    """
    for plane, target in zip(planes, frame.planes, strict=True):
        view = plane_view(target)
        missing = view.shape[0] - plane.shape[0], view.shape[1] - plane.shape[1]
        view[:] = np.pad(plane, ((0, missing[0]), (0, missing[1])), mode="edge")


def user_data_of(frame: av.VideoFrame) -> list[bytes]:
    """The user data that came with a frame, UUIDs first, among which may be its identity.

    Of AV1 our decoder knows the identity (client_sdk.contract.av1_codec); SEI are side data.
    """
    opaque: object = frame.opaque
    if isinstance(opaque, sei.FrameIdentity):
        return [sei.build_payload(opaque)]
    sides: Any = frame.side_data  # a sequence of SideData, whatever its stub says
    return [bytes(data) for data in sides if data.type.name == "SEI_UNREGISTERED"]
