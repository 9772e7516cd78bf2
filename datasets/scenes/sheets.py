"""Store a split as lossless contact sheets that any viewer opens: images (WebP), segmentation and depth maps (PNG)."""

import json
from pathlib import Path

import cv2
import numpy as np

from ...core.errors import InputError
from .composition import CLASSES
from .solids import SOLIDS
from .splits import DEPTH_STEP, SIZE, VERSION, Shard, fingerprint
from .textures import PHOTOGRAPHS

EVALUATION = Path(__file__).parent / "evaluation"
SHEETS = ("images.webp", "segmentation.png", "depth.png")
COLUMNS = 30
LOSSLESS = 101  # OpenCV writes lossless WebP for any quality above 100
SMALLEST = {
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, LOSSLESS],
    ".png": [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED],
}


def write_sheets(folder: Path, shard: Shard) -> None:
    """Write images.webp (RGB), segmentation.png (8 bit: solid), depth.png (16 bit: depth x 4096) and card.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, tiles in zip(SHEETS, (shard.images[..., ::-1], shard.segmentations, shard.depths), strict=True):
        cv2.imwrite(str(folder / name), _tile(tiles), SMALLEST[Path(name).suffix])
    card = {
        "version": VERSION,
        "fingerprint": fingerprint(read_sheets(folder)),
        "count": len(shard.labels),
        "label of image i": f"i modulo {len(CLASSES)}",
        "classes": CLASSES,
        "segmentation": ["background", *SOLIDS],
        "depth": f"distance along the camera's axis in scene units, times {round(1 / DEPTH_STEP)}",
        "photographs": PHOTOGRAPHS,
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")


def read_sheets(folder: Path) -> Shard:
    """Read the split that `write_sheets` wrote; raises InputError if a sheet is missing or not an image."""
    images, segmentations, depths = (_cut(_read_sheet(folder / name)) for name in SHEETS)
    labels = np.arange(len(images)) % len(CLASSES)
    return Shard(np.ascontiguousarray(images[..., ::-1]), segmentations, depths, labels)


def _read_sheet(path: Path) -> np.ndarray:
    sheet = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if sheet is None:
        raise InputError(f"Expected a sheet of images at {path}; reinstall foolbench to restore it.")
    return sheet


def _tile(tiles: np.ndarray) -> np.ndarray:
    rows = len(tiles) // COLUMNS
    grid = tiles.reshape(rows, COLUMNS, SIZE, SIZE, *tiles.shape[3:])
    return np.ascontiguousarray(grid.swapaxes(1, 2).reshape(rows * SIZE, COLUMNS * SIZE, *tiles.shape[3:]))


def _cut(sheet: np.ndarray) -> np.ndarray:
    rows = sheet.shape[0] // SIZE
    grid = sheet.reshape(rows, SIZE, COLUMNS, SIZE, *sheet.shape[2:])
    return np.ascontiguousarray(grid.swapaxes(1, 2).reshape(rows * COLUMNS, SIZE, SIZE, *sheet.shape[2:]))
