"""The tiny package with a second rung: of another scale and size, other plans, the same plate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from client_sdk.contract import (
    FILE_HEADER,
    MANIFEST_FILE,
    Asset,
    MapRef,
    PlatePiece,
    Rung,
    RungSegment,
    asset_file,
    encode_record,
    open_package,
    rung_size,
)
from tests.client_sdk.tiny import (
    HEIGHT,
    LR_HEIGHT,
    LR_WIDTH,
    SCALE,
    WIDTH,
    make_plan,
    maps_of,
    sha,
    write_tiny,
    write_video,
)

SMALL_SCALE = 4
SMALL = rung_size(WIDTH, HEIGHT, SMALL_SCALE)


def write_ladder(folder: Path, crf: int = 40, **options: Any) -> Path:
    """A tiny package whose rung 1 is smaller: scale 4, every patch by experts of its own."""
    root = write_tiny(folder, **options)
    manifest = open_package(root).manifest
    lengths = tuple(segment.frames for segment in manifest.segments)
    codec = manifest.rungs[0].codec
    video = root / "video" / "small.mp4"
    write_video(video, lengths, *SMALL, crf, codec)
    assets = dict(manifest.assets)
    plate = manifest.rungs[0].plates[0][0].sha256
    segments, records = [], b""
    for index, patch_map in enumerate(maps_of(lengths, *SMALL)):
        plated = index == 1
        inputs = ("luma", "previous", "plate") if plated else ("luma",)
        plans = [make_plan(500 + n + index, inputs, SMALL_SCALE) for n in (0, 70)]
        for plan in plans:
            assets[sha(plan)] = Asset(kind="plan", bytes=len(plan))
            (root / asset_file(sha(plan), "plan")).write_bytes(plan)
        record = encode_record(patch_map)
        at = len(FILE_HEADER) + len(records)
        segments.append(
            RungSegment(
                experts=tuple(sha(plan) for plan in plans),
                plate=0 if plated else None,
                map=MapRef(sha256=sha(record), offset=at, bytes=len(record)),
            )
        )
        records += record
    (root / "maps" / "small.maps").write_bytes(FILE_HEADER + records)
    data = video.read_bytes()
    # The HR frames are padded to other sizes: the plate lies in the part that both have.
    piece = PlatePiece(sha256=plate, region=(0, 0, LR_WIDTH * SCALE, LR_HEIGHT * SCALE))
    rung = Rung(
        name="small",
        width=SMALL[0],
        height=SMALL[1],
        scale=SMALL_SCALE,
        codec=codec,
        profile=manifest.rungs[0].profile,
        file="video/small.mp4",
        sha256=sha(data),
        bytes=len(data),
        maps_file="maps/small.maps",
        plates=((piece,),),
        segments=tuple(segments),
        compute=1_000_000,
    )
    large = manifest.rungs[0].model_copy(update={"compute": 10_000_000})
    both = manifest.model_copy(update={"rungs": (large, rung), "assets": assets})
    (root / MANIFEST_FILE).write_bytes(both.to_bytes())
    return root
