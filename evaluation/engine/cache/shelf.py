"""Named tensors below a folder, a file each: what is made once is found again, or made anew where it is damaged."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ....core.files import writable_folder, write_whole, writing
from .exclusive import exclusive
from .kept import keep, recall

SUFFIX = ".safetensors"


@dataclass(eq=False)
class Shelf:
    """A run's own folder. What cannot be kept there ends the run."""

    folder: Path

    def path(self, name: str) -> Path:
        """Where something lies; slashes in a name are folders."""
        return self.folder / f"{name}{SUFFIX}"

    def ready(self) -> None:
        """Raise OutputError where nothing can be kept."""
        writable_folder(self.folder)

    def recall(self, name: str, names: set[str], clean: Tensor | None = None) -> dict[str, Tensor] | None:
        """What `keep` was given; None where there is nothing, where it is damaged, or lacks one of the `names`.

        `clean` are the images (N, C, H, W) that the tensor `x_adv` was crafted from, if there is one.
        """
        return self.opened(self.read(name), names, clean)

    def read(self, name: str) -> dict[str, Tensor] | None:
        """The first step of `recall`: as much as can be done before the clean images are there."""
        return recall(self.path(name), set())

    def opened(
        self, read: dict[str, Tensor] | None, names: set[str], clean: Tensor | None = None
    ) -> dict[str, Tensor] | None:
        """The second step."""
        return read if read is not None and names <= read.keys() else None

    def keep(self, name: str, tensors: Mapping[str, Tensor], clean: Tensor | None = None) -> None:
        """Whole or not at all. Raises OutputError where the disk does not take it."""
        with writing(self.path(name)):
            keep(self.path(name), tensors)

    def take(self, name: str, content: bytes) -> None:
        """The whole file, as it was on the shelf of another machine. Raises OutputError as `keep` does."""
        with writing(self.path(name)):
            write_whole(self.path(name), content)

    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """While it is made: other processes that want it wait, and find it."""
        return exclusive(self.folder, name.replace("/", "-"))
