"""Tensors that are kept on disk from one run to the next, and read as if a stranger had written them."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ...core.files import write_whole

_SHA = "sha256"


def keep(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file with a hash of all that it holds, whole or not at all. Raises OSError as `open` does."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(own, {_SHA: _hash(path, own)}))


def recall(path: Path, names: set[str]) -> dict[str, Tensor] | None:
    """What `keep` wrote; None where there is nothing, where it is damaged, or lacks one of the names."""
    try:
        with safe_open(path, framework="pt") as stored:
            found = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
            expected = (stored.metadata() or {}).get(_SHA)
    except (SafetensorError, OSError, RuntimeError, ValueError):
        return None
    return found if _hash(path, found) == expected and names <= found.keys() else None


def _hash(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Of the place, names, shapes and types as well: one file in the place of another is damage."""
    digest = hashlib.sha256(os.fsencode(f"{path.parent.name}/{path.name}\n"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
