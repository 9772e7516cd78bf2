"""A universal perturbation: applied to images, saved, loaded, and shown as a picture."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from .errors import BudgetError, WeightsError
from .images import check_images, check_layout
from .tensor_files import read_tensors, write_tensors
from .threat import Threat


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """A universal perturbation: `delta`, float32 (C, H, W) in pixel space, is within `threat`.

    `source` says how it was made. Raises InputError for a delta of another type or layout, BudgetError for one that
    exceeds the threat or is not finite.
    """

    delta: Tensor
    threat: Threat
    source: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.delta, Tensor):
            check_layout(self.delta[None])
        else:
            check_layout(self.delta)  # its error says what is expected
        object.__setattr__(self, "delta", self.delta.detach())
        self.threat.check_size(self.delta[None])

    @cached_property
    def sha(self) -> str:
        """Hash of the values of `delta`."""
        return hashlib.sha256(self.delta.cpu().contiguous().numpy().tobytes()).hexdigest()

    def apply(self, x: Tensor) -> Tensor:
        """Add `delta` to images (N, C, H, W) and clip to [0, 1]. Raises InputError for other images."""
        check_images(x, tuple(self.delta.shape))
        return (x + self.delta.to(x.device)).clamp(0, 1)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with the threat and the source as metadata, atomically."""
        about = {"threat": json.dumps(asdict(self.threat)), "source": self.source, "sha256": self.sha}
        write_tensors(Path(path), {"delta": self.delta}, about)

    @classmethod
    def load(cls, path: str | Path) -> "Perturbation":
        """Read a file that `save` wrote. Raises WeightsError for a file that is missing, corrupt or something else."""
        try:
            tensors, about = read_tensors(Path(path))
            delta = tensors["delta"]
            found = cls(delta=delta, threat=Threat(**json.loads(about["threat"])), source=about["source"])
            if found.sha != about["sha256"]:
                raise ValueError("its values are not those that were saved")
            return found
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, BudgetError) as error:
            raise WeightsError(f"Expected a perturbation saved by foolbench at {path}, but: {error}.") from None

    def picture(self) -> Tensor:
        """Return `delta` as a picture, uint8 (H, W, C): mid-grey is 0, black and white are the largest change."""
        scale = float(self.delta.abs().max()) or 1.0
        return ((self.delta / scale * 0.5 + 0.5) * 255).round().to(torch.uint8).permute(1, 2, 0)
