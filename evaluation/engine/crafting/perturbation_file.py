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
    """`shape` (C, H, W) is that of the network's images; sizes that it leaves open are None."""

    place: Path
    threat: Threat
    shape: Sequence[int | None]

    @property
    def partial(self) -> Path:
        """Where a search keeps its state."""
        return self.place.with_suffix(".partial")

    def kept(self) -> Perturbation | None:
        """That of an earlier run, with its picture; none where the file is damaged."""
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
        with writing(self.place):
            perturbation.save(self.place)
            self.partial.unlink(missing_ok=True)
        self._draw(perturbation)

    def remove(self) -> None:
        with writing(self.place):
            self.place.unlink(missing_ok=True)

    def _fits(self, found: Perturbation) -> bool:
        sizes = zip(found.delta.shape, self.shape, strict=True)
        return all(expected in (None, size) for size, expected in sizes)

    @property
    def _picture(self) -> Path:
        return self.place.with_suffix(".png")

    def _draw(self, perturbation: Perturbation) -> None:
        """Encoded in memory: OpenCV cannot open every path that is one."""
        _, png = cv2.imencode(".png", perturbation.picture().numpy()[:, :, ::-1])
        with writing(self._picture):
            write_whole(self._picture, png.tobytes())
