"""Numbered splits of scenes, rendered on all cores, cached in shards, equal up to rounding on every machine."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray
from platformdirs import user_cache_path

from ...core.files import write_whole, writing
from .composition import CLASSES, compose
from .render import View, render

VERSION = 3  # of the generator: incremented by every change that alters a pixel
SIZE = 128  # side of the images that ship with foolbench, in pixels
STREAMS = {"train": 0, "eval": 1}
SHARD = 250


class Shard(NamedTuple):
    """Rendered scenes: images (N, S, S, 3), segmentations (N, S, S), depths (N, S, S) and labels (N,).

    Depths are in steps of `DEPTH_STEP`.
    """

    images: NDArray[np.uint8]
    segmentations: NDArray[np.uint8]
    depths: NDArray[np.uint16]
    labels: NDArray[np.int64]


DEPTH_STEP = 1 / 4096  # scene units


def fingerprint(shard: Shard) -> str:
    """Return a hash of the pixels and all ground truths."""
    digest = hashlib.sha256()
    for part in shard:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


def render_one(split: str, index: int, size: int = SIZE) -> View:
    """Render scene number `index` of a split; its label is `index % 30`, so that every split is balanced."""
    return render(compose(index % len(CLASSES), np.random.default_rng([STREAMS[split], index])), size)


def render_shard(split: str, start: int, stop: int, size: int = SIZE) -> Shard:
    torch.set_num_threads(1)  # shards are rendered in parallel
    views = [render_one(split, index, size) for index in range(start, stop)]
    images, segmentations, depths = (np.stack(part) for part in zip(*views, strict=True))
    steps = np.round(depths / DEPTH_STEP).astype(np.uint16)
    return Shard(images, segmentations, steps, np.arange(start, stop) % len(CLASSES))


def rendered(split: str, count: int, size: int = SIZE, advance: Callable[[int], None] = lambda images: None) -> Shard:
    """Return the first `count` scenes of a split; shards that are missing or damaged in the cache are rendered into it.

    `advance` is called with the number of further images that are ready. An interrupted call loses at most the shards
    that are being rendered.
    """
    folder = user_cache_path("foolbench") / f"scenes-v{VERSION}" / f"{split}-{size}"
    paths = {start: folder / f"{start:06d}.npz" for start in range(0, count, SHARD)}
    found = {start: shard for start, path in paths.items() if (shard := _kept(path)) is not None}
    missing = {start: path for start, path in paths.items() if start not in found}
    advance(SHARD * (len(paths) - len(missing)))
    tasks = (delayed(_render_into)(path, split, start, size) for start, path in missing.items())
    for images in Parallel(n_jobs=-1, return_as="generator")(tasks):
        advance(cast(int, images))
    found |= {start: _read(path) for start, path in missing.items()}
    shards = (found[start] for start in paths)
    return Shard(*(np.concatenate(part)[:count] for part in zip(*shards, strict=True)))


def _render_into(path: Path, split: str, start: int, size: int) -> int:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **render_shard(split, start, start + SHARD, size)._asdict())
    with writing(path):
        write_whole(path, buffer.getvalue())
    return SHARD


def _kept(path: Path) -> Shard | None:
    """Read a shard; return None if it is missing or damaged."""
    try:
        return _read(path)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None


def _read(path: Path) -> Shard:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:  # np.load leaves damaged files open
        return Shard(*(stored[name] for name in Shard._fields))
