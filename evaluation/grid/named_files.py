"""Files that an attack or a defense is told by name: where another one lies there, it is another attack or defense."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from ...core.files import is_file
from .parameters import parameters


def named_files(configuration: Any) -> list[str]:
    """A hash for the content of each, in the order of its fields; also in what lies in these, as steps of a chain."""
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
    """Words as `uniform` are none, whatever lies in the folder where somebody calls them."""
    return isinstance(value, PurePath) or "/" in value or bool(PurePath(value).suffix)


def _content(file: Path) -> str:
    """Of one that cannot be read nothing: whoever needs it says so."""
    try:
        seen = file.stat()
        return _hash(file, seen.st_size, seen.st_mtime_ns)
    except OSError:
        return ""


@lru_cache(maxsize=256)
def _hash(file: Path, size: int, changed: int) -> str:
    """Kept as long as size and time stay, for it is asked for with every cell."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]
