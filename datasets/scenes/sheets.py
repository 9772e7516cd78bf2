"""A split as three PNG contact sheets that any viewer opens: images, segmentation maps, depth maps."""

import json
from pathlib import Path

import cv2
import numpy as np

from ...core.errors import InputError
from .render import SIZE
from .solids import SOLIDS
from .splits import VERSION, Shard, fingerprint
from .textures import PHOTOGRAPHS

EVALUATION = Path(__file__).parent / "evaluation"
SHEETS = ("images", "segmentation", "depth")
COLUMNS = 32
SMALLEST = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 9),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED),
]
DEPTH_SCALE = 4096  # levels per scene unit in the 16-bit depth sheet


def write_sheets(folder: Path, shard: Shard) -> None:
    """Write images.png (RGB), segmentation.png (8 bit: class), depth.png (16 bit: depth x 4096) and card.json."""
    folder.mkdir(parents=True, exist_ok=True)
    depth = np.round(shard.depths * DEPTH_SCALE).astype(np.uint16)
    for name, tiles in zip(SHEETS, (shard.images[..., ::-1], shard.segmentations, depth), strict=True):
        cv2.imwrite(str(folder / f"{name}.png"), _tile(tiles), SMALLEST)
    card = {
        "version": VERSION,
        "fingerprint": fingerprint(read_sheets(folder)),
        "count": len(shard.labels),
        "label of image i": f"i modulo {len(SOLIDS)}",
        "classes": list(SOLIDS),
        "segmentation": "0 is background, k + 1 is class k",
        "depth": f"distance along the camera's axis in scene units, times {DEPTH_SCALE}",
        "photographs": PHOTOGRAPHS,
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")


def read_sheets(folder: Path) -> Shard:
    """Raises InputError where a sheet is missing or no PNG."""
    images, segmentations, depths = (_cut(_read_sheet(folder / f"{name}.png")) for name in SHEETS)
    labels = np.arange(len(images)) % len(SOLIDS)
    depths = depths.astype(np.float32) / DEPTH_SCALE
    return Shard(np.ascontiguousarray(images[..., ::-1]), segmentations, depths, labels)


def _read_sheet(path: Path) -> np.ndarray:
    sheet = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if sheet is None:
        raise InputError(f"Expected a PNG sheet at {path}; reinstall foolbench to restore it.")
    return sheet


def _tile(tiles: np.ndarray) -> np.ndarray:
    rows = len(tiles) // COLUMNS
    grid = tiles.reshape(rows, COLUMNS, SIZE, SIZE, *tiles.shape[3:])
    return np.ascontiguousarray(grid.swapaxes(1, 2).reshape(rows * SIZE, COLUMNS * SIZE, *tiles.shape[3:]))


def _cut(sheet: np.ndarray) -> np.ndarray:
    rows = sheet.shape[0] // SIZE
    grid = sheet.reshape(rows, SIZE, COLUMNS, SIZE, *sheet.shape[2:])
    return np.ascontiguousarray(grid.swapaxes(1, 2).reshape(rows * COLUMNS, SIZE, SIZE, *sheet.shape[2:]))
