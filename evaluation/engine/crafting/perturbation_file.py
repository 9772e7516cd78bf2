"""The file of a universal perturbation in a run's folder, with a picture beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from ....core.errors import WeightsError
from ....core.files import write_whole, writing
from ....core.perturbation import Perturbation
from ....core.threat import Threat


@dataclass(frozen=True, kw_only=True)
class PerturbationFile:
    """The file at `place` for a universal perturbation within `threat`, with a PNG picture beside it.

    `shape` (C, H, W) is that of the network's images; a size that the network leaves open is None.
    """

    place: Path
    threat: Threat
    shape: Sequence[int | None]

    @property
    def partial(self) -> Path:
        """The file in which an unfinished search keeps its checkpoint."""
        return self.place.with_suffix(".partial")

    def kept(self) -> Perturbation | None:
        """Return the kept perturbation; None if it is missing, damaged, or of another threat or shape.

        A missing picture is drawn again.
        """
        try:
            found = Perturbation.load(self.place) if self.place.exists() else None
        except WeightsError:
            return None
        if found is None or found.threat != self.threat or not self._fits(found):
            return None
        if not self._picture.exists():
            self._draw(found)
        return found

    def keep(self, perturbation: Perturbation) -> None:
        """Write the perturbation and its picture, and remove the checkpoint. Raises OutputError if that fails."""
        with writing(self.place):
            perturbation.save(self.place)
            self.partial.unlink(missing_ok=True)
        self._draw(perturbation)

    def remove(self) -> None:
        """Remove the perturbation, but not its picture. Raises OutputError if that fails."""
        with writing(self.place):
            self.place.unlink(missing_ok=True)

    def _fits(self, found: Perturbation) -> bool:
        sizes = zip(found.delta.shape, self.shape, strict=True)
        return all(expected in (None, size) for size, expected in sizes)

    @property
    def _picture(self) -> Path:
        return self.place.with_suffix(".png")

    def _draw(self, perturbation: Perturbation) -> None:
        """Write the picture. It is encoded in memory, since OpenCV cannot open every valid path."""
        _, png = cv2.imencode(".png", perturbation.picture().numpy()[:, :, ::-1])
        with writing(self._picture):
            write_whole(self._picture, png.tobytes())
