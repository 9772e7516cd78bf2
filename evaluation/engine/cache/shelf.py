"""Keep named tensors below a folder, in one file per name: they are found again, or count as missing if damaged."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ....core.files import writable_folder, write_whole, writing
from .exclusive import exclusive
from .kept import sealed, unsealed

SUFFIX = ".safetensors"


@dataclass(eq=False)
class Shelf:
    """The tensors that a run keeps in its own folder. If one cannot be written, the run ends."""

    folder: Path

    def path(self, name: str) -> Path:
        """Return the file for a name; slashes in the name stand for folders."""
        return self.folder / f"{name}{SUFFIX}"

    def ready(self) -> None:
        """Raise OutputError if the folder cannot be written to."""
        writable_folder(self.folder)

    def recall(self, name: str, names: set[str], clean: Tensor | None = None) -> dict[str, Tensor] | None:
        """Return the tensors that were kept under a name; None if they are missing, damaged, or lack one of `names`.

        `clean` are the images (N, C, H, W) that the tensor `x_adv` was crafted from, if there is one.
        """
        return self.opened(self.read(name), names, clean)

    def read(self, name: str) -> dict[str, Tensor] | None:
        """Do the first step of `recall`: as much as is possible before the clean images are loaded."""
        content = self.content(name)
        return None if content is None else unsealed(self.path(name), content)

    def opened(
        self, read: dict[str, Tensor] | None, names: set[str], clean: Tensor | None = None
    ) -> dict[str, Tensor] | None:
        """Do the second step of `recall`, on what `read` returned."""
        return read if read is not None and names <= read.keys() else None

    def keep(self, name: str, tensors: Mapping[str, Tensor], clean: Tensor | None = None) -> None:
        """Write tensors under a name, whole or not at all. Raises OutputError if that fails.

        `clean` is as in `recall`.
        """
        self.take(name, sealed(self.path(name), tensors))

    def content(self, name: str) -> bytes | None:
        """Return the content of the file for a name, which nobody has checked yet; None if there is none."""
        try:
            return self.path(name).read_bytes()
        except OSError:
            return None

    def take(self, name: str, content: bytes) -> None:
        """Write the content of the file for a name, whole or not at all. Raises OutputError if that fails."""
        with writing(self.path(name)):
            write_whole(self.path(name), content)

    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """Return a context manager that locks a name while its tensors are computed: other processes wait for them."""
        return exclusive(self.folder, name.replace("/", "-"))
