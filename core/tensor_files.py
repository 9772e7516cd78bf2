"""Named tensors in a safetensors file, with text as metadata."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from .files import write_whole


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Write a file of tensors with metadata, atomically. Raises OSError as `open` does."""
    write_whole(path, to_bytes(tensors, about))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a file. Raises OSError, SafetensorError or ValueError for another file.

    It is read as bytes: the library itself opens only paths that are text.
    """
    return from_bytes(path.read_bytes())


def to_bytes(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> bytes:
    """Return the content of a file of tensors with metadata."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(own, dict(about))


def from_bytes(content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata in the content of a file. Raises SafetensorError or ValueError for others."""
    tensors = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, header.get("__metadata__", {})
