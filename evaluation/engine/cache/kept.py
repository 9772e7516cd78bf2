"""Tensors that are kept on disk from one run to the next, and checked when they are read, as an untrusted file is."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
import xxhash
from safetensors import SafetensorError
from torch import Tensor

from ....core.files import write_whole
from ....core.tensor_files import from_bytes, to_bytes

_CHECKSUM = "xxh3"


def keep(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file with a checksum of all it holds, whole or not at all. Raises OSError as `open` does."""
    write_whole(path, sealed(path, tensors))


def recall(path: Path, names: set[str]) -> dict[str, Tensor] | None:
    """Return the tensors that `keep` wrote; None if the file is missing or damaged, or lacks one of the names."""
    try:
        found = unsealed(path, path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if found is not None and names <= found.keys() else None


def sealed(path: Path, tensors: Mapping[str, Tensor]) -> bytes:
    """Return the content of the file at `path` that keeps the tensors, with a checksum of all it holds."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return to_bytes(own, {_CHECKSUM: _hash(path, own)})


def unsealed(path: Path, content: bytes) -> dict[str, Tensor] | None:
    """Return the tensors in the content of the file at `path`; None if it is damaged."""
    try:
        found, about = from_bytes(content)
    except (SafetensorError, RuntimeError, ValueError):
        return None
    return found if _hash(path, found) == about.get(_CHECKSUM) else None


def added(checksum: xxhash.xxh3_128, tensor: Tensor) -> xxhash.xxh3_128:
    """Update a checksum with the values of a tensor, and return it: xxh3 is fast enough for all that a run reads."""
    checksum.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return checksum


def _hash(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Return a checksum of the values and of place, names, shapes and types: a file in another's place is damage."""
    digest = xxhash.xxh3_128(os.fsencode(f"{path.parent.name}/{path.name}\n"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        added(digest, tensor)
    return digest.hexdigest()
