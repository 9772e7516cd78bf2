"""Hash the files that an attack or a defense names: if another file lies there, it is another attack or defense."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from ...core.files import is_file
from .parameters import parameters


def named_files(configuration: Any) -> list[str]:
    """Return a hash of each file named in the fields of an attack or defense, in order, also in nested ones."""
    return [_content(file) for file in _files(parameters(configuration))]


def _files(value: Any) -> Iterator[Path]:
    if isinstance(value, str | PurePath):
        if _may_be_a_path(value) and is_file(Path(value)):
            yield Path(value).resolve()
    elif is_dataclass(value):
        yield from _files(parameters(value))
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _files(part)


def _may_be_a_path(value: str | PurePath) -> bool:
    """Return whether a value may be a path. Words such as `uniform` are none, even if a file has that name."""
    return isinstance(value, PurePath) or "/" in value or bool(PurePath(value).suffix)


def _content(file: Path) -> str:
    """Return a hash of a file's content; "" if it cannot be read, which is reported where the file is used."""
    try:
        seen = file.stat()
        return _hash(file, seen.st_size, seen.st_mtime_ns)
    except OSError:
        return ""


@lru_cache(maxsize=256)
def _hash(file: Path, size: int, changed: int) -> str:
    """Return a hash of a file; cached until its size or time changes, because every cell needs it."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]
