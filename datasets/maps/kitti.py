"""KITTI at `kitti:PATH`: raw recordings with a split such as Eigen's, and depth from laser scans or improved maps.

The raw data are those of https://www.cvlibs.net/datasets/kitti/raw_data.php, the improved depth maps those of its depth
benchmark (Uhrig et al. 2017, https://arxiv.org/abs/1708.06500).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...core.dataset import Dataset
from ...core.errors import ConfigError, InputError, one_line, why
from ...core.registry import Family
from ...tasks.depth import Depth
from ..pictures.files import folder_at
from .base import MapPictures, Pair
from .velodyne import Calibration, calibration_files, depth_map, read_calibration, read_points

SUMMARY = "KITTI's raw data, evaluated on the lines of split = FILE, as Eigen's; depth from laser scans, or improved."
Truth = Literal["velodyne", "improved"]
LEVELS = 256
"""Levels per metre in an improved depth map."""


class Kitti(MapPictures):
    """Depth of pictures from KITTI's colour cameras, in metres.

    `truth` selects the ground truth, "velodyne" or "improved", since they differ: the laser sees through windows and
    over edges, and improved maps exist for some pictures only.
    """

    def __init__(self, address: str, root: Path, split: Path, train: Path | None, truth: Truth) -> None:
        self._root, self._kind, self._train_split = root, truth, train
        self._calibrations: dict[tuple[Path, int], Calibration] = {}
        super().__init__(address, root, self._pairs_of(split), Depth())

    def training_pairs(self) -> Sequence[Pair]:
        if self._train_split is None:
            raise ConfigError(f"{self.name} has no training images: say train_split = FILE in the table dataset.")
        evaluated = {pair.name for pair in self._pairs}
        left = [pair for pair in self._pairs_of(self._train_split) if pair.name not in evaluated]
        if not left:
            raise ConfigError(f"All training images of {self.name} are among its evaluation images; name others.")
        return left

    def made_from(self, pair: Pair) -> list[Path]:
        """Return the truth's file and, for laser scans, the day's calibration files, which turn points into depths."""
        return [pair.truth, *(calibration_files(pair.picture.parents[3]) if self._kind == "velodyne" else ())]

    def values(self, pair: Pair) -> NDArray[np.float32]:
        if self._kind == "improved":
            return _improved(pair.truth)
        camera = int(pair.picture.parents[1].name.removeprefix("image_"))
        key = pair.picture.parents[3], camera
        if key not in self._calibrations:
            self._calibrations[key] = read_calibration(*key)
        return depth_map(read_points(pair.truth), self._calibrations[key])

    def _pairs_of(self, split: Path) -> list[Pair]:
        try:
            lines = split.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:  # no file, no UTF-8
            raise ConfigError(f"Expected a split of KITTI at {split}, but: {why(error)}.") from None
        return list(dict.fromkeys(self._pair(line, split) for line in lines if line.strip()))

    def _pair(self, line: str, split: Path) -> Pair:
        """Parse a line: "date/drive index l" as in Monodepth, or "date/drive/image_02/data/index.png ..." as in BTS."""
        words = line.split()
        if len(words) == 3 and words[1].isdecimal() and words[2] in ("l", "r"):
            drive, index, camera = words[0], int(words[1]), "image_02" if words[2] == "l" else "image_03"
        else:
            parts = Path(words[0]).parts
            if len(parts) < 5 or parts[-3] not in ("image_02", "image_03") or not Path(words[0]).stem.isdecimal():
                raise ConfigError(f"Expected 'DATE/DRIVE INDEX l' or the path of a picture in {split}, got {line!r}.")
            drive, index, camera = "/".join(parts[-5:-3]), int(Path(words[0]).stem), parts[-3]
        recording = self._root / drive
        pictures = [recording / camera / "data" / f"{index:010d}{suffix}" for suffix in (".png", ".jpg")]
        scan = recording / "velodyne_points" / "data" / f"{index:010d}.bin"
        improved = recording / "proj_depth" / "groundtruth" / camera / f"{index:010d}.png"
        truth = scan if self._kind == "velodyne" else improved
        found = [picture for picture in pictures if picture.is_file()]
        missing = truth if found else pictures[0]
        if not found or not truth.is_file():
            remedy = "leave out lines without an improved map" if missing == improved else "unpack the raw data there"
            raise ConfigError(f"{split} names {drive} {index}, but there is no {missing}; {remedy}.")
        return Pair(f"{drive} {index} {camera}", found[0], truth)


def _improved(path: Path) -> NDArray[np.float32]:
    try:
        with Image.open(path) as picture:
            levels = np.array(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a depth map: {one_line(error)}") from None
    if levels.ndim != 2 or levels.dtype.itemsize < 2:
        raise InputError(f"Expected a depth map of 16 bits at {path}, got {levels.dtype} {levels.shape}.")
    return (levels / LEVELS).astype(np.float32)


def _loader(address: str) -> Callable[..., Dataset]:
    def load(*, split: str, train_split: str | None = None, truth: Truth = "velodyne") -> Kitti:
        root = folder_at(address.partition(":")[2], address)
        return Kitti(
            address, root, Path(split).expanduser(), Path(train_split).expanduser() if train_split else None, truth
        )

    load.__doc__ = SUMMARY
    return load


FAMILY: Family[Dataset] = Family({"kitti:PATH": SUMMARY}, _loader, is_open=True)
