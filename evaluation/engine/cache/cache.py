"""The cache that all runs of a user share. An entry's name depends on all that decides its content, so none goes stale.

The cache may be lost, damaged, full or read-only: then its entries are computed again, as they are without a cache.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
import xxhash
from platformdirs import user_cache_path
from torch import Tensor

from ....core.errors import ConfigError, OutputError
from ....core.files import write_whole
from .exclusive import LOCKS, acquired
from .kept import added, sealed
from .kinds import KINDS
from .packing import Packed, decompressed, packed, unpacked
from .shelf import SUFFIX, Shelf

GIGABYTE = 10**9
LIMIT = 20 * GIGABYTE
"""The default limit, in bytes."""
FULL, LOOKED_AT = 0.9, 8
"""If the cache exceeds its limit, the least recently used entries are removed until it is at this share of the limit.
A process measures the cache again once it has written an eighth of the space that was free: up to eight processes at
once keep to the limit together.
"""
TORN = 24 * 3600
"""The age, in seconds, at which a temporary file counts as left behind: no process is still writing it."""
_X_ADV, _CLEAN, _PLANES = "x_adv", "clean", "planes"
_ABOUT = {_CLEAN, _PLANES}
"""The names of the tensors that are kept beside packed images."""


class Entry(NamedTuple):
    """A cache entry: its file, its size in bytes, and the time of its last use in seconds since 1970."""

    path: Path
    size: int
    used: float


@dataclass(eq=False)
class Cache(Shelf):
    """The user's cache, a folder of at most `limit` bytes. If it cannot be written, it prints that once and goes on."""

    limit: int = LIMIT
    _free: int | None = field(default=None, init=False)
    _written: int = field(default=0, init=False)
    _told: bool = field(default=False, init=False)

    @classmethod
    def default(cls, folder: Path | None = None, gigabytes: float | None = None) -> "Cache":
        """Return the cache in `folder`, by default FOOLBENCH_CACHE or a folder among the user's caches.

        Its limit is `gigabytes`, by default FOOLBENCH_CACHE_SIZE or `LIMIT`. Raises ConfigError for an invalid size.
        """
        chosen, size = os.environ.get("FOOLBENCH_CACHE"), os.environ.get("FOOLBENCH_CACHE_SIZE")
        where = folder or (Path(chosen) if chosen else user_cache_path("foolbench") / "cache")
        if gigabytes is not None:
            return cls(where, _bytes(gigabytes, "--cache-size"))
        return cls(where, _bytes(size, "FOOLBENCH_CACHE_SIZE") if size else LIMIT)

    def ready(self) -> None:
        """Do nothing: a cache that cannot be written does no harm."""

    def read(self, name: str) -> dict[str, Tensor] | None:
        """Read an entry, and decompress packed images."""
        found = super().read(name)
        return found if found is None or _PLANES not in found else _decompressed(found)

    def opened(
        self, read: dict[str, Tensor] | None, names: set[str], clean: Tensor | None = None
    ) -> dict[str, Tensor] | None:
        """Unpack an entry that was read; None also for images that were crafted from other `clean` images."""
        found = super().opened(read, names if clean is None else {*names, *_ABOUT})
        return found if found is None or clean is None else _unpacked(found, clean)

    def keep(self, name: str, tensors: Mapping[str, Tensor], clean: Tensor | None = None) -> None:
        """Write an entry, whole or not at all; with `clean` images, the adversarial ones are packed."""
        self.take(name, sealed(self.path(name), tensors if clean is None else _packed(tensors, clean)))

    def content(self, name: str) -> bytes | None:
        """Return the content of an entry's file. An entry that is found counts as used now."""
        found = super().content(name)
        with suppress(OSError):
            os.utime(self.path(name)) if found is not None else None
        return found

    def take(self, name: str, content: bytes) -> None:
        """Write the content of an entry's file, whole or not at all; make room for it."""
        try:
            write_whole(self.path(name), content)
            self._make_room(len(content))
        except OSError as error:
            self._tell(error.strerror or str(error))

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Context manager: lock an entry while it is computed.

        If nothing can be locked, nobody waits, and two processes may do the same work.
        """
        lock = f"{LOCKS}/{name.replace('/', '-')}.lock"
        try:
            held = acquired(self.folder, lock)
        except OutputError:
            held = None
        try:
            yield
        finally:
            if held is not None:
                with suppress(OSError):  # a process that waits then locks a new file: at worst work is done twice
                    (self.folder / lock).unlink()
                held.release()

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Return all entries, or those of one kind, the least recently used first."""
        found = []
        for one in KINDS if kind is None else [kind]:
            for path in (self.folder / one).rglob(f"*{SUFFIX}"):
                with suppress(OSError):  # removed meanwhile
                    known = path.stat()
                    if path.is_file():
                        found.append(Entry(path, known.st_size, known.st_mtime))
        return sorted(found, key=lambda entry: entry.used)

    def clear(self, kind: str | None = None) -> int:
        """Remove all entries, or those of one kind, and return their size in bytes.

        Folders that are empty then are removed as well, but no other files. Raises OutputError if an entry cannot be
        removed.
        """
        gone = 0
        for entry in self.entries(kind):
            try:
                entry.path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(f"{entry.path} cannot be removed: {error.strerror}.") from None
            gone += entry.size
            with suppress(OSError):  # not empty
                entry.path.parent.rmdir()
        return gone

    def _make_room(self, written: int) -> None:
        """Keep to the limit after `written` more bytes; the cache is measured only now and then."""
        self._written += written
        if self._free is not None and LOOKED_AT * self._written < self._free:
            return
        self._remove_torn()
        entries = self.entries()
        total = sum(entry.size for entry in entries)
        if total > self.limit:
            for entry in entries:
                if total <= FULL * self.limit:
                    break
                entry.path.unlink(missing_ok=True)
                total -= entry.size
        self._free, self._written = self.limit - total, 0

    def _remove_torn(self) -> None:
        """Remove old temporary files of processes that were killed while they wrote."""
        for path in self.folder.rglob(".*.[0-9]*.tmp"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > TORN:
                    path.unlink()

    def _tell(self, reason: str) -> None:
        if not self._told:
            text = (
                f"foolbench: The cache {self.folder} cannot be written ({reason}): what it lacks is made, and not kept."
            )
            print(text, file=sys.stderr)
        self._told = True


def _bytes(gigabytes: str | float, name: str) -> int:
    try:
        found = int(float(gigabytes) * GIGABYTE)
    except (ValueError, OverflowError):
        found = -1
    if found < 0:
        raise ConfigError(f"Expected {name} in GB, 0 or more, as 20, got {gigabytes}.")
    return found


def _packed(tensors: Mapping[str, Tensor], clean: Tensor) -> dict[str, Tensor]:
    data, planes = packed(tensors[_X_ADV], clean)
    return {**tensors, _X_ADV: data, _PLANES: torch.tensor(planes), _CLEAN: _hash(clean)}


def _decompressed(found: dict[str, Tensor]) -> dict[str, Tensor] | None:
    try:
        differences = decompressed(Packed(found[_X_ADV], int(found[_PLANES])))
    except (ValueError, KeyError, RuntimeError):  # RuntimeError: `planes` is not a single number
        return None
    return found | {_X_ADV: differences}


def _unpacked(found: dict[str, Tensor], clean: Tensor) -> dict[str, Tensor] | None:
    if not torch.equal(found[_CLEAN], _hash(clean)):
        return None
    try:
        images = unpacked(found[_X_ADV], clean)
    except ValueError:
        return None
    return {name: value for name, value in found.items() if name not in _ABOUT} | {_X_ADV: images}


def _hash(x: Tensor) -> Tensor:
    return torch.frombuffer(bytearray(added(xxhash.xxh3_128(), x).digest()), dtype=torch.uint8)
