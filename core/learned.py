"""What a defense has learned: named tensors that are saved, loaded and identified by their hash."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from .errors import WeightsError
from .tensor_files import read_tensors, write_tensors


class Learned(Mapping[str, Tensor]):
    """The tensors that a defense has learned, by name. Their hash is the repr, part of the defense's identity."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = {name: tensor.detach() for name, tensor in tensors.items()}
        self._elsewhere: dict[torch.device, Learned] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"Learned({self.sha})"

    def __eq__(self, other: object) -> bool:
        return self.sha == other.sha if isinstance(other, Learned) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.sha)

    @cached_property
    def sha(self) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(self._tensors.items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def on(self, device: torch.device) -> "Learned":
        """Return the same tensors on a device, copied there once."""
        if all(tensor.device == device for tensor in self._tensors.values()):
            return self
        if device not in self._elsewhere:
            self._elsewhere[device] = Learned({name: tensor.to(device) for name, tensor in self._tensors.items()})
        return self._elsewhere[device]

    def save(self, path: Path) -> None:
        """Write a safetensors file, atomically."""
        write_tensors(path, self._tensors, {"sha": self.sha})

    @classmethod
    def load(cls, path: Path) -> "Learned":
        """Read a file that `save` wrote. Raises WeightsError for a file that is missing, corrupt or something else."""
        try:
            tensors, about = read_tensors(path)
            found = cls(tensors)
            if found.sha != about["sha"]:
                raise ValueError("its values are not those that were saved")
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise WeightsError(f"Expected what a defense has learned at {path}, but: {error}.") from None
        return found
