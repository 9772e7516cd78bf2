"""A split as three PNG contact sheets that any viewer opens: images, segmentation maps, depth maps.

`python -m foolbench.datasets.scenes.sheets` renders the evaluation split anew and writes it beside this file.
"""

import json
from pathlib import Path

import cv2
import numpy as np

from ...core.errors import InputError
from .render import SIZE
from .solids import SOLIDS
from .splits import VERSION, Shard, fingerprint, rendered
from .textures import PHOTOGRAPHS

EVALUATION = Path(__file__).parent / "evaluation"
COUNT = 1024
SHEETS = ("images", "segmentation", "depth")
COLUMNS = 32
DEPTH_SCALE = 4096  # levels per scene unit in the 16-bit depth sheet


def write_sheets(folder: Path, shard: Shard) -> None:
    """Write images.png (RGB), segmentation.png (8 bit: class), depth.png (16 bit: depth x 4096) and card.json."""
    folder.mkdir(parents=True, exist_ok=True)
    depth = np.round(shard.depths * DEPTH_SCALE).astype(np.uint16)
    for name, tiles in zip(SHEETS, (shard.images[..., ::-1], shard.segmentations, depth), strict=True):
        cv2.imwrite(str(folder / f"{name}.png"), _tile(tiles), [cv2.IMWRITE_PNG_COMPRESSION, 9])
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
    sheets = {name: cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_UNCHANGED) for name in SHEETS}
    missing = [name for name, sheet in sheets.items() if sheet is None]
    if missing:
        raise InputError(f"Expected a PNG sheet at {folder / missing[0]}.png; reinstall foolbench to restore it.")
    images, segmentations, depths = (_cut(sheets[name]) for name in sheets)
    labels = np.arange(len(images)) % len(SOLIDS)
    return Shard(np.ascontiguousarray(images[..., ::-1]), segmentations, np.float32(depths) / DEPTH_SCALE, labels)


def _tile(tiles: np.ndarray) -> np.ndarray:
    rows = len(tiles) // COLUMNS
    grid = tiles.reshape(rows, COLUMNS, SIZE, SIZE, *tiles.shape[3:])
    return np.ascontiguousarray(grid.swapaxes(1, 2).reshape(rows * SIZE, COLUMNS * SIZE, *tiles.shape[3:]))


def _cut(sheet: np.ndarray) -> np.ndarray:
    rows = sheet.shape[0] // SIZE
    grid = sheet.reshape(rows, SIZE, COLUMNS, SIZE, *sheet.shape[2:])
    return np.ascontiguousarray(grid.swapaxes(1, 2).reshape(rows * COLUMNS, SIZE, SIZE, *sheet.shape[2:]))


if __name__ == "__main__":
    write_sheets(EVALUATION, rendered("eval", COUNT))
