"""CIFAR at `cifar10:PATH` and `cifar100:PATH`: the archives of Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html.

Reads the binary version and the Python version, whose pickles are loaded without executing any code in them.
"""

import codecs
import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...core.dataset import Dataset
from ...core.errors import ConfigError, InputError
from ...core.fitting import fit
from ...core.preprocess import Preprocess
from ...core.registry import Family
from .base import Pictures
from .contents import pixel_hash
from .files import folder_at
from .reading import reason

PLAIN = Preprocess(size=(32, 32))
FILES = {
    "cifar10": {"test": ["test_batch"], "train": [f"data_batch_{k}" for k in range(1, 6)]},
    "cifar100": {"test": ["test"], "train": ["train"]},
}
LABEL_BYTES = {"cifar10": 1, "cifar100": 2}  # CIFAR-100 has the coarse label first
LABEL_KEYS = {"cifar10": "labels", "cifar100": "fine_labels"}


class Cifar(Pictures):
    """CIFAR-10 or CIFAR-100: evaluates on the archive's test split, and trains on its training split.

    A data set that names it as its `train` gets the training split, too.
    """

    workers = 1  # nothing to decode
    fits_already = True

    def __init__(self, address: str, folder: Path, split: str = "test") -> None:
        self._kind, self._folder = address.partition(":")[0], folder
        self._levels, labels = _split(folder, self._kind, split)
        classes = [str(label) for label in range(int(self._kind.removeprefix("cifar")))]
        keys = [hashlib.sha256(image.tobytes()).hexdigest() for image in self._levels]
        pixels = [pixel_hash(_picture(image)) for image in self._levels]
        super().__init__(address, keys, pixels, labels, classes, in_order=True, preprocess=PLAIN)

    def image(self, place: int) -> Tensor:
        """Return the picture, resized if the network does not take 32 x 32 pixels."""
        levels = self._levels[place]
        return (
            torch.from_numpy(levels) if self.preprocess.size == PLAIN.size else fit(_picture(levels), self.preprocess)
        )

    def picture_size(self, place: int) -> tuple[int, int]:
        return PLAIN.size

    def for_others(self) -> Pictures:
        return Cifar(self.name, self._folder, "train")

    def _to_train_on(self) -> tuple[Pictures, list[int]]:
        found = self._for_the_same_network(self.for_others())
        found._order = self._order
        return found, found._places


def _picture(levels: np.ndarray) -> Image.Image:
    return Image.fromarray(levels.transpose(1, 2, 0))


def _split(folder: Path, kind: str, split: str) -> tuple[np.ndarray, list[int]]:
    """Return pixels, uint8 (N, 3, 32, 32), and labels; raises ConfigError if a file is missing or damaged."""
    parts = [_batch(folder, kind, name) for name in FILES[kind][split]]
    return np.concatenate([pixels for pixels, _ in parts]), [label for _, labels in parts for label in labels]


def _batch(folder: Path, kind: str, name: str) -> tuple[np.ndarray, list[int]]:
    for path, read in ((f"{name}.bin", _binary), (name, _pickled)):
        found = sorted(where for where in folder.rglob(path) if where.is_file())
        if found:
            try:
                pixels, labels = read(found[0], kind)
                images = pixels.reshape(len(labels), 3, 32, 32)
            except Exception as error:  # noqa: BLE001 (whatever damaged bytes lead to)
                raise ConfigError(f"{found[0]} is no batch of {kind}: {reason(error)}.") from None
            if len(images) and min(labels) >= 0 and max(labels) < int(kind.removeprefix("cifar")):
                return images, labels
            raise ConfigError(f"{found[0]} is no batch of {kind}: it has no images, or labels of another.")
    raise ConfigError(f"Expected {name}.bin or {name} of {kind} in {folder}, found neither; unpack the archive there.")


def _binary(path: Path, kind: str) -> tuple[np.ndarray, list[int]]:
    row = LABEL_BYTES[kind] + 3072
    content = np.frombuffer(path.read_bytes(), np.uint8)
    if len(content) % row:
        raise InputError(f"expected rows of {row} bytes, got {len(content)} bytes; unpack the archive again")
    rows = content.reshape(-1, row).copy()
    return rows[:, -3072:], rows[:, LABEL_BYTES[kind] - 1].tolist()


def _pickled(path: Path, kind: str) -> tuple[np.ndarray, list[int]]:
    batch = _PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    named = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
    pixels = np.asarray(named["data"])
    if pixels.dtype != np.uint8:
        raise InputError(f"expected pixels in uint8, got {pixels.dtype}")
    return pixels, [int(label) for label in named[LABEL_KEYS[kind]]]


def _from_buffer(buffer: bytes, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


_ARRAYS: dict[str, Any] = {
    "_reconstruct": np.zeros(0).__reduce__()[0],
    "_frombuffer": _from_buffer,
    "ndarray": np.ndarray,
    "dtype": np.dtype,
}
"""NumPy names that pickles of arrays need, depending on the version of the protocol."""


class _PlainUnpickler(pickle.Unpickler):
    """Unpickler that allows only arrays of numbers and plain values, and raises InputError for anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in _ARRAYS:
            return _ARRAYS[name]
        if (module, name) == ("_codecs", "encode"):
            return codecs.encode
        raise InputError(f"it asks for {module}.{name}, which no batch needs, and which was not executed")


def _loader(address: str) -> Callable[..., Dataset]:
    def load() -> Cifar:
        return Cifar(address, folder_at(address.partition(":")[2], address))

    load.__doc__ = _SUMMARIES[address.partition(":")[0]]
    return load


_SUMMARIES = {
    "cifar10": "CIFAR-10 as it is unpacked, the binary or the Python version.",
    "cifar100": "CIFAR-100 likewise, with its hundred fine labels.",
}
FAMILIES: dict[str, Family[Dataset]] = {
    kind: Family({f"{kind}:PATH": text}, _loader, is_open=True) for kind, text in _SUMMARIES.items()
}
