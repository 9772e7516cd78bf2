"""Data sets whose pictures are files in a folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor

from ...core.errors import ConfigError
from ...core.files import is_folder
from ...core.fitting import fit
from .base import Pictures
from .contents import contents
from .reading import SUFFIXES, read_picture, size_of

BadImages = Literal["stop", "skip"]


class PictureFile(NamedTuple):
    """A picture file, and the index of its class or None."""

    path: Path
    label: int | None


class PictureFiles(Pictures):
    """Data set of picture files, decoded on access.

    `bad_images` says what to do about unreadable files: "stop" raises ConfigError with the first of them, "skip" leaves
    them out and lists them in `skipped`.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        files: Sequence[PictureFile],
        classes: Sequence[str] | None,
        *,
        bad_images: BadImages = "stop",
        **shared: Any,
    ) -> None:
        if not files:
            raise ConfigError(f"Expected pictures ({' '.join(sorted(SUFFIXES))}) in {root}, found none.")
        known = contents(root, [file.path for file in files])
        bad = {str(file.path): content.problem for file, content in zip(files, known, strict=True) if content.problem}
        if bad and bad_images == "stop":
            path, problem = next(iter(bad.items()))
            more = f" (and {len(bad) - 1} more of {name})" if len(bad) > 1 else ""
            raise ConfigError(
                f'{path}{more} cannot be read as a picture: {problem}; mend or remove it, or say bad_images = "skip".'
            )
        sound = [(file, content) for file, content in zip(files, known, strict=True) if not content.problem]
        self.skipped = bad
        self._files = [file for file, _ in sound]
        labels = None if classes is None else [file.label or 0 for file in self._files]
        keys, pixels = [content.sha256 for _, content in sound], [content.pixels for _, content in sound]
        super().__init__(name, keys, pixels, labels, classes, **shared)

    def image(self, place: int) -> Tensor:
        return fit(read_picture(self._files[place].path), self.preprocess)

    def picture_size(self, place: int) -> tuple[int, int]:
        return size_of(self._files[place].path)


def folder_at(text: str, name: str) -> Path:
    """Return the folder that the path `text` names; raises ConfigError, about the option `name`, if there is none."""
    folder = Path(text).expanduser()
    if not text or not is_folder(folder):
        raise ConfigError(f"Expected {name} to name a folder of pictures, found none at {text!r}.")
    return folder


def pictures_in(folder: Path) -> list[Path]:
    """Return all pictures below a folder, sorted; links are followed, hidden files skipped, broken links included."""
    return list(filter(_is_picture, files_in(folder)))


def pictures_at(folder: Path) -> list[Path]:
    """Return the pictures directly in a folder, sorted, without hidden ones."""
    there = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in there if not path.name.startswith(".") and _is_picture(path))


def files_in(folder: Path) -> list[Path]:
    """Return all files of any kind below a folder, sorted; links are followed and hidden files skipped."""
    found, seen = list[Path](), set[str]()
    for root, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(root))
        folders[:] = [
            name for name in folders if not name.startswith(".") and os.path.realpath(Path(root, name)) not in seen
        ]
        found += [Path(root, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and (path.is_file() or not path.exists())
