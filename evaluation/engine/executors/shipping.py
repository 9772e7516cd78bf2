"""Exchange files, by name and unchanged, between the folders of a run and of its cache and workers that see neither.

A unit of work comes with the files of the run's folder that it needs. Cache entries are sent when a worker asks.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ....core.errors import OutputError
from ....core.files import write_whole, writing
from ....core.universal_attack import UniversalAttack
from ...grid.cells import Job
from ...grid.defenses import NamedDefense
from ..cache.exclusive import acquired
from ..cache.shelf import SUFFIX, Shelf
from ..crafting.crafter import name_of_images
from ..networks.prepare import Prepared
from ..networks.school import LEARNED, School
from ..networks.setup import Setup
from ..scoring.example import FOLDER as EXAMPLES
from ..work.progress import Steps
from ..work.units import Look, Samples, Score, Search, Teach, Unit

_IMAGES = "adversarial"
_MADE = (_IMAGES, EXAMPLES, LEARNED)
_PREFIX, _BEGINNING = "foolbench-worker-", "foolbench-begins-"
_LIVES = "lives.lock"
"""The lock file in a worker's folder, locked as long as the worker lives, on whatever machine."""


class Shipping:
    """The run's side of the exchange: finds the files that a unit needs, and keeps those that workers send back."""

    def __init__(self, prepared: Prepared, setup: Setup, steps: Steps) -> None:
        self._prepared, self._folder, self._steps = prepared, setup.folder, steps
        self._shared = setup.shared
        self._learned_on: list[Shelf] = [setup.own] if setup.cache is None else [setup.own, setup.cache]
        self._grid = prepared.grid
        self._known: dict[tuple[str, str], list[tuple[str, Path]]] = {}

    def needs(self, unit: Unit) -> dict[str, Path]:
        """Return the existing files that a unit needs, by the names that they have in a worker's folder."""
        return {name: path for name, path in self._files(unit) if path.is_file()}

    def keep(self, name: str, content: bytes) -> None:
        """Keep a file that a worker has made. Raises OutputError if the run's folder cannot be written."""
        if Path(name).parts[0] == LEARNED:
            for shelf in self._learned_on:
                shelf.take(name.removesuffix(SUFFIX), content)
            return
        path = self._folder / name
        with writing(path):
            write_whole(path, content)

    def lend(self, name: str) -> bytes | None:
        """Return the content of an entry of the cache; None if there is none."""
        return None if self._shared is None else self._shared.content(name)

    def take(self, name: str, content: bytes) -> None:
        """Put an entry that a worker has made into the cache."""
        if self._shared is not None:
            self._shared.take(name, content)

    def _files(self, unit: Unit) -> Iterator[tuple[str, Path]]:
        match unit:
            case Look():
                return
            case Teach():
                yield from self._learned(unit.network, self._grid.defenses[unit.defense])
            case Search():
                yield from self._learned(unit.network, self._grid.jobs[unit.job].through)
            case Score():
                job = self._grid.jobs[unit.job]
                yield from self._crafted(job, unit.samples)
                yield from self._learned(unit.network, job.through)
                for cell in map(self._grid.cells.__getitem__, unit.cells):
                    yield from self._learned(cell.model, cell.defense)

    def _crafted(self, job: Job, samples: Samples) -> Iterator[tuple[str, Path]]:
        """Yield what a job has crafted, and what the attack has whose failures it continues from, if there is one.

        Images that other runs share are not in the run's folder.
        """
        place = self._grid.place(job).as_posix()
        if isinstance(job.attack, UniversalAttack):
            yield place, self._folder / place
            return
        if self._shared is not None:
            return
        name = name_of_images(place, samples) + SUFFIX
        yield name, self._folder / name
        if job.after is not None:
            yield from self._crafted(job.after, samples)

    def _learned(self, network: str, named: NamedDefense) -> list[tuple[str, Path]]:
        if named.defense is None:
            return []
        if (network, named.digest) in self._known:
            return self._known[network, named.digest]
        model, dataset = self._prepared.network(network)
        names, complete = School(
            dataset, model, self._prepared.recipe.seed, self._steps, self._learned_on[-1], self._learned_on[0]
        ).names(named.defense)
        # a later file replaces an earlier one of the same name, so those in the run's own folder come last
        places = [(name + SUFFIX, shelf.path(name)) for shelf in reversed(self._learned_on) for name in names]
        if complete:
            self._known[network, named.digest] = places
        return places


class Scratch:
    """The worker's side of the exchange: a temporary folder that takes the place of the folder of the run."""

    def __init__(self, folder: Path, held: FileLock | None) -> None:
        self.folder, self._held = folder, held
        self._known: dict[str, int] = {}
        """The number (inode) of each file that the run has: one that is written anew is another."""

    @classmethod
    def begin(cls, beside: Path) -> "Scratch":
        """Create the folder of this process in `beside`, and remove those that killed processes have left there.

        Machines and containers may share `beside`, so the lock of a folder tells whether its worker lives. It is taken
        before the folder gets the name by which others find it. A folder that could not be locked is never removed.
        """
        for left in beside.glob(f"{_PREFIX}*"):
            remove_dead(left)
        begun, held = Path(tempfile.mkdtemp(prefix=_BEGINNING, dir=beside)), None
        with suppress(OutputError):
            held = acquired(begun, _LIVES)
        return cls(begun.rename(beside / begun.name.replace(_BEGINNING, _PREFIX)), held)

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def unpack(self, name: str, content: bytes) -> None:
        """Write a file that the run has sent. Raises OutputError if that fails, as on a full disk."""
        with writing(self.folder / name):
            write_whole(self.folder / name, content)
        self._known[name] = _number(self.folder / name)

    def made(self) -> dict[str, bytes]:
        """Return the content of the files made here since the last call, by name."""
        paths = (path for made in _MADE for path in (self.folder / made).glob("**/[!.]*.safetensors"))
        names = {path.relative_to(self.folder).as_posix(): path for path in paths}
        new = {name: now for name, path in names.items() if (now := _number(path)) != self._known.get(name)}
        self._known |= new
        return {name: names[name].read_bytes() for name in new}

    def tidy(self) -> None:
        """Remove adversarial images, the largest files, after a unit has ended and what it made is sent."""
        shutil.rmtree(self.folder / _IMAGES, ignore_errors=True)
        self._known = {name: number for name, number in self._known.items() if Path(name).parts[0] != _IMAGES}

    def leave(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._held is not None:
            self._held.release()


def _number(path: Path) -> int:
    return path.stat().st_ino


def remove_dead(folder: Path) -> None:
    """Remove the folder of a worker whose process has ended; that of a living one, or of another user, stays."""
    if not (folder / _LIVES).is_file():
        return
    with suppress(Timeout, OutputError):  # the worker lives, or the folder is another user's
        held = acquired(folder, _LIVES, timeout=0)
        shutil.rmtree(folder, ignore_errors=True)
        held.release()
