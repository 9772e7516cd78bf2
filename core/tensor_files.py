"""Named tensors in a safetensors file, with text as metadata."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from .files import write_whole


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Write a file of tensors with metadata, atomically. Raises OSError as `open` does."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(own, dict(about)))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a file. Raises OSError, SafetensorError or ValueError for another file.

    It is read as bytes: the library itself opens only paths that are text.
    """
    content = path.read_bytes()
    tensors = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, header.get("__metadata__", {})
