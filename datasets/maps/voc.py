"""Segmentation of Pascal VOC (http://host.robots.ox.ac.uk/pascal/VOC/) at `voc:PATH`, with the maps of SBD.

A map is a PNG with a palette, whose index is the class: 0 is the background, 255 the border, which is not evaluated.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...core.dataset import Dataset
from ...core.errors import ConfigError, InputError, one_line, why
from ...core.registry import Family
from ...tasks.segmentation import VOID, Segmentation
from ..pictures.files import folder_at
from .base import MapPictures, Pair

SUMMARY = "Pascal VOC's segmentation challenge as it is unpacked; with sbd = PATH the maps of SBD to train on."
CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)

Split = Literal["val", "train", "trainval"]


class Voc(MapPictures):
    """Segmentation of Pascal VOC's 20 classes and background, evaluated on `split`.

    Training images are those of VOC's train list and, with `sbd`, of SBD's train and val lists, without the evaluation
    images: SBD's lists contain a part of VOC's val.
    """

    void = VOID

    def __init__(self, address: str, root: Path, split: Split, sbd: Path | None) -> None:
        self._root, self._sbd = root, sbd
        self._evaluated = _listed(root / "ImageSets" / "Segmentation" / f"{split}.txt")
        super().__init__(address, root, [self._pair(name) for name in self._evaluated], Segmentation(classes=21))

    def training_pairs(self) -> Sequence[Pair]:
        pairs = {} if self._sbd is None else {pair.name: pair for pair in _of_sbd(self._sbd)}
        names = _listed(self._root / "ImageSets" / "Segmentation" / "train.txt")
        pairs |= {name: self._pair(name) for name in names}  # VOC's own maps are finer than SBD's
        evaluated = set(self._evaluated)
        left = [pair for name, pair in pairs.items() if name not in evaluated]
        if not left:
            raise ConfigError(f"{self.name} has no training images: all of them are evaluated on; choose split = val.")
        return left

    def values(self, pair: Pair) -> NDArray[np.uint8]:
        return _matlab(pair.truth) if pair.truth.suffix == ".mat" else _palette(pair.truth)

    def _pair(self, name: str) -> Pair:
        picture, truth = (self._root / "JPEGImages", ".jpg"), (self._root / "SegmentationClass", ".png")
        return Pair(name, *(_there(folder / f"{name}{suffix}") for folder, suffix in (picture, truth)))


def _of_sbd(root: Path) -> list[Pair]:
    found = [data for data in (root, *root.glob("**/dataset")) if (data / "cls").is_dir()]
    if not found:
        raise ConfigError(f"Expected benchmark_RELEASE/dataset/cls of SBD in {root}, found none.")
    data = found[0]
    names = [name for part in ("train", "val") for name in _listed(data / f"{part}.txt")]
    return [Pair(name, _there(data / "img" / f"{name}.jpg"), _there(data / "cls" / f"{name}.mat")) for name in names]


def _palette(path: Path) -> NDArray[np.uint8]:
    """Read a palette map; raises InputError for other classes, and for colours, which OpenCV turns a palette into."""
    try:
        with Image.open(path) as picture:
            mode, values = picture.mode, np.array(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a map: {one_line(error)}") from None
    if mode not in ("P", "L"):
        raise InputError(f"Expected a palette, whose index is the class, in the map {path}, got a picture in {mode}.")
    return _classes(path, values)


def _matlab(path: Path) -> NDArray[np.uint8]:
    """Read a map of SBD, which has no border label."""
    from scipy.io import loadmat  # imported late: it takes a quarter of a second

    try:
        found: Any = loadmat(path, variable_names=["GTcls"])["GTcls"]
        values = np.asarray(found[0]["Segmentation"][0])
    except Exception as error:  # noqa: BLE001 (whatever damaged bytes lead to)
        raise InputError(f"Expected GTcls.Segmentation of SBD in {path}, but: {one_line(error)}") from None
    return _classes(path, values)


def _classes(path: Path, values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the values of a map as bytes. Raises InputError for what is no class."""
    wrong = np.setdiff1d(values, [*range(len(CLASSES)), VOID])
    if values.ndim != 2 or len(wrong):
        raise InputError(
            f"Expected classes 0..{len(CLASSES) - 1} or {VOID} in the map {path}, got {wrong[:5].tolist()}."
        )
    return values.astype(np.uint8)


def _listed(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:  # no file, no UTF-8
        raise ConfigError(f"Expected the names of a split in {path}, but: {why(error)}.") from None
    return list(dict.fromkeys(lines))


def _there(path: Path) -> Path:
    if not path.is_file():
        raise ConfigError(f"Expected a file at {path}, found none: unpack the archive again.")
    return path


def _root(folder: Path) -> Path:
    """Return the folder of the last year of VOC in `folder`, which may be that folder itself or one above it."""
    found = [folder, *sorted(folder.glob("VOC*")), *sorted(folder.glob("VOCdevkit/VOC*"))]
    years = [year for year in found if (year / "SegmentationClass").is_dir()]
    if not years:
        raise ConfigError(
            f"Expected SegmentationClass of Pascal VOC in {folder} or in VOCdevkit/VOC2012 of it, found none."
        )
    return years[-1]


def _loader(address: str) -> Callable[..., Dataset]:
    def load(*, split: Split = "val", sbd: str | None = None) -> Voc:
        root = _root(folder_at(address.partition(":")[2], address))
        return Voc(address, root, split, None if sbd is None else folder_at(sbd, "sbd"))

    load.__doc__ = SUMMARY
    return load


FAMILY: Family[Dataset] = Family({"voc:PATH": SUMMARY}, _loader, is_open=True)
