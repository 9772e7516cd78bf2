"""Tensors that are kept on disk from one run to the next, and read as if a stranger had written them."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from ...core.tensor_files import read_tensors, write_tensors

_SHA = "sha256"


def keep(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file with a hash of all that it holds, whole or not at all. Raises OSError as `open` does."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_tensors(path, own, {_SHA: _hash(path, own)})


def recall(path: Path, names: set[str]) -> dict[str, Tensor] | None:
    """What `keep` wrote; None where there is nothing, where it is damaged, or lacks one of the names."""
    try:
        found, about = read_tensors(path)
    except (SafetensorError, OSError, RuntimeError, ValueError):
        return None
    return found if _hash(path, found) == about.get(_SHA) and names <= found.keys() else None


def _hash(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Of the place, names, shapes and types as well: one file in the place of another is damage."""
    digest = hashlib.sha256(os.fsencode(f"{path.parent.name}/{path.name}\n"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
