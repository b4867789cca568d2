"""Plates between jobs: a file for each piece, and a list of them."""

from pathlib import Path
from typing import Any

from client_sdk.contract.plate import Region, decode_plate
from overfit.plate_pieces import Piece, composed
from overfit.plates import Plate


def write_plate(folder: Path, plate: Plate) -> list[dict[str, Any]]:
    """→ SHA256.avif, and the facts of them that `read_plate` wants."""
    for piece in plate.pieces:
        (folder / f"{piece.sha256}.avif").write_bytes(piece.data)
    return [{"name": f"{p.sha256}.avif", "region": p.region} for p in plate.pieces]


def read_plate(folder: Path, files: list[dict[str, Any]], width: int, height: int) -> Plate:
    """A plate for frames of this size, as it was written."""
    pieces = []
    for file in files:
        region: Region = tuple(file["region"])
        data = (folder / file["name"]).read_bytes()
        pieces.append(Piece.of(region, data, decode_plate(data, *region[2:])))
    return Plate(tuple(pieces), composed(pieces, width, height))
