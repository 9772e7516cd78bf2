"""Depth maps from the laser scanner of KITTI (Geiger et al. 2013, https://www.cvlibs.net/datasets/kitti/raw_data.php)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.errors import InputError

Numbers = NDArray[np.float64]


class Calibration(NamedTuple):
    """Calibration of a camera to the laser.

    `projection` (3, 4) maps homogeneous laser coordinates (x forward, y left, z up) to (u * depth, v * depth, depth);
    `size` is the (height, width) of the camera's pictures.
    """

    projection: Numbers
    size: tuple[int, int]


def calibration_files(day: Path) -> tuple[Path, Path]:
    """Return the files of a day with the calibration of the cameras, and of the laser to the cameras."""
    return day / "calib_cam_to_cam.txt", day / "calib_velo_to_cam.txt"


def read_calibration(day: Path, camera: int) -> Calibration:
    """Read a camera's calibration for the recordings of a day; raises InputError for invalid files."""
    cameras, laser = calibration_files(day)
    rectified, moved = np.eye(4), np.eye(4)
    rectified[:3, :3] = _matrix(cameras, "R_rect_00", 3, 3)
    moved[:3] = np.hstack([_matrix(laser, "R", 3, 3), _matrix(laser, "T", 3, 1)])
    width, height = _matrix(cameras, f"S_rect_{camera:02d}", 1, 2)[0]
    return Calibration(_matrix(cameras, f"P_rect_{camera:02d}", 3, 4) @ rectified @ moved, (int(height), int(width)))


def depth_map(points: NDArray[np.float32], calibration: Calibration) -> NDArray[np.float32]:
    """Return depths (H, W) in metres along the camera's axis: that of the nearest point at each pixel, 0 without any.

    `points` are (N, 4): x, y, z in metres, and the reflectance. As in Monodepth's code, points behind the laser are
    left out, and projected coordinates count pixels from 1.
    """
    ahead = points[points[:, 0] >= 0].astype(np.float64)
    ahead[:, 3] = 1
    across, down, depth = calibration.projection @ ahead.T
    seen = depth > 0
    column, row = (np.round(part[seen] / depth[seen]).astype(np.int64) - 1 for part in (across, down))
    depth = depth[seen]
    height, width = calibration.size
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column, row, depth = column[inside], row[inside], depth[inside]
    nearest = np.full((height, width), np.inf)
    np.minimum.at(nearest, (row, column), depth)
    return np.where(np.isfinite(nearest), nearest, 0).astype(np.float32)


def read_points(path: Path) -> NDArray[np.float32]:
    """Read the points (N, 4) of a laser scan; raises InputError for an invalid file."""
    try:
        numbers = np.fromfile(path, dtype="<f4")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    if not len(numbers) or len(numbers) % 4 or not np.isfinite(numbers).all():
        raise InputError(f"Expected a scan of four finite float32 a point at {path}, got {path.stat().st_size} bytes.")
    return numbers.reshape(-1, 4)


def _matrix(path: Path, key: str, rows: int, columns: int) -> Numbers:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        (text,) = [line.partition(":")[2] for line in lines if line.partition(":")[0] == key]
        return np.array(text.split(), dtype=np.float64).reshape(rows, columns)
    except (OSError, ValueError) as error:
        raise InputError(f"Expected {key} with {rows * columns} numbers in {path}, but: {error}.") from None
