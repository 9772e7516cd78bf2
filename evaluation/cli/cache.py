"""Implementation of `foolbench cache`, and the cache that `foolbench run` uses."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from rich.filesize import decimal
from rich.table import Table

from ...core.errors import ConfigError
from ..engine.cache.cache import GIGABYTE, LIMIT, Cache
from ..engine.cache.kinds import KINDS
from ..engine.cache.shelf import SUFFIX
from ..report.manifest import MANIFEST
from .console import console, say


def chosen(folder: Path | None, gigabytes: float | None, *, none: bool) -> Cache | None:
    """Return the cache of a run, or None. Raises ConfigError if `none` comes with a folder or a size."""
    if none and (folder is not None or gigabytes is not None):
        raise ConfigError("Expected --no-cache alone, or --cache and --cache-size without it.")
    return None if none else Cache.default(folder, gigabytes)


def _there(folder: Path | None) -> Cache:
    """Return the cache to inspect; its size limit plays no part, so that FOOLBENCH_CACHE_SIZE is not read."""
    return Cache.default(folder, LIMIT / GIGABYTE)


class _Listed(NamedTuple):
    """A row of the list: one cache entry of one or several files, its size in bytes, and the time of its last use."""

    kind: str
    name: str
    files: int
    size: int
    used: float


def show_entries(folder: Path | None, kind: str | None) -> None:
    table = Table("kind", "what", "files", "size", "last used")
    for one in _listed(_there(folder), kind):
        used = datetime.fromtimestamp(one.used).astimezone().isoformat(" ", "minutes")
        table.add_row(one.kind, one.name, str(one.files), decimal(one.size), used)
    console.print(table) if table.row_count else say("Nothing is there.")


def show_sizes(folder: Path | None) -> None:
    cache = _there(folder)
    for kind, meaning in KINDS.items():
        entries = cache.entries(kind)
        say(f"{decimal(sum(entry.size for entry in entries)):>9}  {kind}: {meaning}")
    say(f"{decimal(sum(entry.size for entry in cache.entries())):>9}  {cache.folder}")


def clear(folder: Path | None, kind: str | None) -> None:
    cache = _there(folder)
    if (cache.folder / MANIFEST).exists():
        raise ConfigError(f"Expected the folder of a cache, got that of a run, {cache.folder}.")
    say(f"Removed {decimal(cache.clear(kind))} from {cache.folder}.")


def _listed(cache: Cache, kind: str | None) -> list[_Listed]:
    found: dict[tuple[str, str], _Listed] = {}
    for entry in cache.entries(kind):
        where = entry.path.relative_to(cache.folder)
        of, name = where.parts[0], where.parts[1].removesuffix(SUFFIX)
        known = found.get((of, name), _Listed(of, name, 0, 0, 0.0))
        found[of, name] = _Listed(of, name, known.files + 1, known.size + entry.size, max(known.used, entry.used))
    return sorted(found.values(), key=lambda one: one.used)
