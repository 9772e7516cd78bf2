"""Hashes of picture files and the reasons why some cannot be read, cached by path, size and modification time.

The first run reads and decodes every file, on all cores. Later runs read only files that have changed or could not be
read: memory and disks may fail for a moment, and another Pillow version may read them.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from PIL import Image
from platformdirs import user_cache_path

from ...core.errors import one_line
from ...core.files import is_file, write_whole
from .reading import opaque, reason, upright

WORKERS = os.cpu_count() or 1


class Content(NamedTuple):
    """Hashes of a file's bytes and of its pixels, and the reason why it cannot be read, "" if it can."""

    sha256: str
    pixels: str = ""
    problem: str = ""


def pixel_hash(picture: Image.Image) -> str:
    """Hash the size and pixels of an RGB picture: the result is the same in every lossless file format."""
    return hashlib.sha256(f"{picture.size}".encode() + np.asarray(picture).tobytes()).hexdigest()


def contents(root: Path, paths: Sequence[Path], *, pictures: bool = True) -> list[Content]:
    """Return the `Content` of each path, from the cache of `root` or the file; only bytes if not `pictures`."""
    memory = _memory(root)
    known = _recall(memory)
    stamps = {str(path): _stamp(path) for path in paths}
    old = {path for path, (stamp, _, pixels) in known.items() if stamp == stamps.get(path) and (pixels or not pictures)}
    changed = [path for path in paths if str(path) not in old]
    with ThreadPoolExecutor(WORKERS) as pool:
        looks = pool.map(_look if pictures else _look_at_bytes, changed)
        fresh = {str(path): found for path, found in zip(changed, looks, strict=True)}
    sound = {path: [stamps[path], found.sha256, found.pixels] for path, found in fresh.items() if not found.problem}
    if sound:
        known |= sound
        _remember(memory, {path: entry for path, entry in known.items() if path in stamps or is_file(Path(path))})
    return [fresh.get(path) or Content(*known[path][1:]) for path in map(str, paths)]


def _look(path: Path) -> Content:
    digest = ""
    try:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        return Content(digest, pixel_hash(opaque(upright(data))))
    except Exception as error:  # noqa: BLE001 (disk errors, and those of each of Pillow's decoders)
        return Content(digest, problem=reason(error))


def _look_at_bytes(path: Path) -> Content:
    try:
        return Content(hashlib.sha256(path.read_bytes()).hexdigest())
    except OSError as error:
        return Content("", problem=one_line(error))


def _stamp(path: Path) -> str:
    """Return what identifies a version of the file; "" if its status cannot be read, which is never cached."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns} Pillow {PIL.__version__}, opaque"  # versions decode differently


def _memory(root: Path) -> Path:
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return user_cache_path("foolbench") / "pictures" / f"{name}.json"


def _recall(memory: Path) -> dict[str, list[str]]:
    """Read the cache file; return nothing if it is damaged, so that all files are read again."""
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
        entries = isinstance(known, dict) and all(
            isinstance(entry, list) and len(entry) == 3 and all(isinstance(part, str) for part in entry)
            for entry in known.values()
        )
    except (OSError, ValueError):
        return {}
    return known if entries else {}


def _remember(memory: Path, known: dict[str, list[str]]) -> None:
    with suppress(OSError):  # without the cache, only time is lost
        write_whole(memory, json.dumps(known).encode())
