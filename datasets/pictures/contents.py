"""What is in each file: its hash, and why it cannot be read. Remembered by path, size and time of change.

The first look reads and decodes every file once, on all cores; a second run looks only at what has changed.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_cache_path

from ...core.errors import ConfigError, one_line
from ...core.files import is_file, write_whole
from .reading import decode

WORKERS = os.cpu_count() or 1


class Content(NamedTuple):
    """Of one file: the hash of its bytes; "" or what is wrong with it as a picture."""

    sha256: str
    problem: str


def contents(root: Path, paths: Sequence[Path]) -> list[Content]:
    """In the order of the paths."""
    memory = _memory(root)
    known = _recall(memory)
    stamps = {str(path): _stamp(path) for path in paths}
    changed = [path for path in paths if known.get(str(path), [None])[0] != stamps[str(path)]]
    with ThreadPoolExecutor(WORKERS) as pool:
        fresh = {str(path): found for path, found in zip(changed, pool.map(_look, changed), strict=True)}
    if fresh:
        known |= {path: [stamps[path], *content] for path, content in fresh.items()}
        _remember(memory, {path: entry for path, entry in known.items() if path in stamps or is_file(Path(path))})
    return [Content(*known[str(path)][1:]) for path in paths]


def _look(path: Path) -> Content:
    try:
        data = path.read_bytes()
    except OSError as error:
        return Content("", one_line(error))
    digest = hashlib.sha256(data).hexdigest()
    try:
        decode(data)
    except Exception as error:  # noqa: BLE001 (each of Pillow's decoders has its own)
        return Content(digest, one_line(error))
    return Content(digest, "")


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    return f"{status.st_size} {status.st_mtime_ns}"


def _memory(root: Path) -> Path:
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return user_cache_path("foolbench") / "pictures" / f"{name}.json"


def _recall(memory: Path) -> dict[str, list[str]]:
    """Nothing where it is damaged: then everything is looked at anew."""
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
    with suppress(OSError):  # a cache that cannot be written costs time only
        write_whole(memory, json.dumps(known).encode())
