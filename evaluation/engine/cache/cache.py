"""The cache that all runs of a user share. What lies there is named by all that decides it, so nothing grows stale.

It may be lost, damaged, full, or lie where nothing can be written: then its things are made anew, as without it.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
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
from .kept import added, keep, recall
from .kinds import KINDS
from .packing import Packed, decompressed, packed, unpacked
from .shelf import SUFFIX, Shelf

GIGABYTE = 10**9
LIMIT = 20 * GIGABYTE
"""Bytes, where nobody says how many."""
FULL, LOOKED_AT = 0.9, 8
"""Beyond the limit, what was not used for longest goes until so much of it is left. Before a process has written an
eighth of what was free when it looked, it looks again: as many processes at once keep to the limit together.
"""
TORN = 24 * 3600
"""Seconds after which nobody is still writing a file."""
_X_ADV, _CLEAN, _PLANES = "x_adv", "clean", "planes"
_ABOUT = {_CLEAN, _PLANES}
"""What is kept beside packed images."""


class Entry(NamedTuple):
    """A file of the cache: its size in bytes, and when it was used last, in seconds since 1970."""

    path: Path
    size: int
    used: float


@dataclass(eq=False)
class Cache(Shelf):
    """At most `limit` bytes in a folder. What cannot be kept there is told, once, and not kept."""

    limit: int = LIMIT
    _free: int | None = field(default=None, init=False)
    _written: int = field(default=0, init=False)
    _told: bool = field(default=False, init=False)

    @classmethod
    def default(cls, folder: Path | None = None, gigabytes: float | None = None) -> "Cache":
        """Where nothing is given: where FOOLBENCH_CACHE says, or in the user's folder of caches; of
        FOOLBENCH_CACHE_SIZE gigabytes.

        Raises ConfigError for a size that is none.
        """
        chosen, size = os.environ.get("FOOLBENCH_CACHE"), os.environ.get("FOOLBENCH_CACHE_SIZE")
        where = folder or (Path(chosen) if chosen else user_cache_path("foolbench") / "cache")
        if gigabytes is not None:
            return cls(where, _bytes(gigabytes, "--cache-size"))
        return cls(where, _bytes(size, "FOOLBENCH_CACHE_SIZE") if size else LIMIT)

    def ready(self) -> None:
        """What cannot be kept can be used all the same."""

    def read(self, name: str) -> dict[str, Tensor] | None:
        """What was found counts as used now."""
        path = self.path(name)
        found = recall(path, set())
        with suppress(OSError):
            os.utime(path) if found is not None else None
        return found if found is None or _PLANES not in found else _decompressed(found)

    def opened(
        self, read: dict[str, Tensor] | None, names: set[str], clean: Tensor | None = None
    ) -> dict[str, Tensor] | None:
        """Nothing of other `clean` images either."""
        found = super().opened(read, names if clean is None else {*names, *_ABOUT})
        return found if found is None or clean is None else _unpacked(found, clean)

    def keep(self, name: str, tensors: Mapping[str, Tensor], clean: Tensor | None = None) -> None:
        """Whole or not at all."""
        self._write(name, lambda path: keep(path, tensors if clean is None else _packed(tensors, clean)))

    def take(self, name: str, content: bytes) -> None:
        """As `keep`."""
        self._write(name, lambda path: write_whole(path, content))

    def _write(self, name: str, write: Callable[[Path], None]) -> None:
        path = self.path(name)
        try:
            write(path)
            self._make_room(path.stat().st_size)
        except OSError as error:
            self._tell(error.strerror or str(error))

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Where nothing can be locked nobody waits, and two may do the same."""
        lock = f"{LOCKS}/{name.replace('/', '-')}.lock"
        try:
            held = acquired(self.folder, lock)
        except OutputError:
            held = None
        try:
            yield
        finally:
            if held is not None:
                with suppress(OSError):  # whoever waits for it then has it to himself, and at worst does it twice
                    (self.folder / lock).unlink()
                held.release()

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Those that are there, the one first that was not used for longest."""
        found = []
        for one in KINDS if kind is None else [kind]:
            for path in (self.folder / one).rglob(f"*{SUFFIX}"):
                with suppress(OSError):  # gone meanwhile
                    known = path.stat()
                    if path.is_file():
                        found.append(Entry(path, known.st_size, known.st_mtime))
        return sorted(found, key=lambda entry: entry.used)

    def clear(self, kind: str | None = None) -> int:
        """Remove all entries, and folders that are empty then; nothing else that lies there. Returns their bytes.

        Raises OutputError for what cannot be removed.
        """
        gone = 0
        for entry in self.entries(kind):
            try:
                entry.path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(f"{entry.path} cannot be removed: {error.strerror}.") from None
            gone += entry.size
            with suppress(OSError):  # others lie there
                entry.path.parent.rmdir()
        return gone

    def _make_room(self, written: int) -> None:
        """After so many bytes more."""
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
        """What processes have left that were killed while they wrote, long ago."""
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
    except (ValueError, KeyError, RuntimeError):  # RuntimeError: several numbers in the place of one
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
