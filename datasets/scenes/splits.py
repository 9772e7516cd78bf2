"""The scenes as numbered splits: rendered on all cores, kept in shards, the same up to rounding on every machine."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import cv2
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from platformdirs import user_cache_path

from ...core.files import write_whole
from .composition import compose
from .render import View, render
from .solids import SOLIDS

VERSION = 2  # of the generation: raised by every change that alters a pixel
STREAMS = {"train": 0, "eval": 1}
SHARD = 250


class Shard(NamedTuple):
    """Rendered scenes, one row an image: uint8 (N, 64, 64, 3), uint8 (N, 64, 64), float32 (N, 64, 64), int64 (N,)."""

    images: NDArray[np.uint8]
    segmentations: NDArray[np.uint8]
    depths: NDArray[np.floating]
    labels: NDArray[np.int64]


def fingerprint(shard: Shard) -> str:
    """Hash of the pixels and of all ground truths."""
    digest = hashlib.sha256()
    for part in shard:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


def render_one(split: str, index: int) -> View:
    """The `index`-th scene of a split. Its label is `index % 10`, so every split is balanced."""
    return render(compose(index % len(SOLIDS), np.random.default_rng([STREAMS[split], index])))


def render_shard(split: str, start: int, stop: int) -> Shard:
    cv2.setNumThreads(1)  # the shards are the parallelism
    views = [render_one(split, index) for index in range(start, stop)]
    images, segmentations, depths = (np.stack(part) for part in zip(*views, strict=True))
    return Shard(images, segmentations, depths, np.arange(start, stop) % len(SOLIDS))


def rendered(split: str, count: int, advance: Callable[[int], None] = lambda images: None) -> Shard:
    """The first `count` scenes of a split, from the cache folder where they are there, else rendered into it.

    `advance` is told how many more images are ready. A broken-off call loses at most the shards in flight.
    """
    folder = user_cache_path("foolbench") / f"scenes-v{VERSION}" / split
    paths = {start: folder / f"{start:06d}.npz" for start in range(0, count, SHARD)}
    missing = {start: path for start, path in paths.items() if not path.exists()}
    advance(SHARD * (len(paths) - len(missing)))
    tasks = (delayed(_render_into)(path, split, start) for start, path in missing.items())
    for images in Parallel(n_jobs=-1, return_as="generator")(tasks):
        advance(cast(int, images))
    shards = [_read(path) for path in paths.values()]
    return Shard(*(np.concatenate(part)[:count] for part in zip(*shards, strict=True)))


def _render_into(path: Path, split: str, start: int) -> int:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **render_shard(split, start, start + SHARD)._asdict())
    write_whole(path, buffer.getvalue())
    return SHARD


def _read(path: Path) -> Shard:
    with np.load(path, allow_pickle=False) as stored:
        return Shard(*(stored[name] for name in Shard._fields))
