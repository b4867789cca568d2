"""The formats that both sides speak: manifest, patch maps, control messages, frame identity.

Encoder, server, client and exporters all read and write through this room; nothing else parses
these bytes. `open_package` opens a folder, `parse_manifest` a manifest that came over the wire.
"""

from client_sdk.contract.manifest import (
    Asset,
    Audio,
    Colour,
    Manifest,
    Method,
    Segment,
    Source,
    package_id,
    parse_manifest,
    rung_size,
)
from client_sdk.contract.motion import decode_motion, encode_motion
from client_sdk.contract.package import MANIFEST_FILE, Package, Place, asset_file, open_package
from client_sdk.contract.patch_map import (
    FILE_HEADER,
    Cell,
    Grid,
    PatchMap,
    decode_record,
    encode_record,
    quarters,
)
from client_sdk.contract.rung import MapRef, PlatePiece, Rung, RungSegment, SegmentQuality
from client_sdk.contract.signing import SIGNATURE_FILE

__all__ = [
    "FILE_HEADER",
    "MANIFEST_FILE",
    "SIGNATURE_FILE",
    "Asset",
    "Audio",
    "Cell",
    "Colour",
    "Grid",
    "Manifest",
    "MapRef",
    "Method",
    "Package",
    "PatchMap",
    "Place",
    "PlatePiece",
    "Rung",
    "RungSegment",
    "Segment",
    "SegmentQuality",
    "Source",
    "asset_file",
    "decode_motion",
    "decode_record",
    "encode_motion",
    "encode_record",
    "open_package",
    "package_id",
    "parse_manifest",
    "quarters",
    "rung_size",
]
