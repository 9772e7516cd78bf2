"""Columns of numbers as one compact run of bytes, and back, to the last bit."""

import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ...core.errors import InputError

Column = NDArray[np.generic]

_COMPRESSED, _VALUES = "compressed", " values"
_PAYS = 0.75
"""What compressing leaves more than this of is quicker to read as it is."""


def pack(columns: Mapping[str, Column]) -> bytes:
    """Each in the narrowest type that holds it, and as numbers in a list of values where it has few.

    A safetensors file, of which one tensor is another such file, compressed: with all that gets smaller that way.
    """
    parts: dict[str, Column] = {}
    for name, column in columns.items():
        parts |= _listed(name, _narrow(column))
    small = {name: part for name, part in parts.items() if _gets_small(part)}
    compressed = np.frombuffer(zlib.compress(save(small), level=1), dtype=np.uint8)
    return save({_COMPRESSED: compressed, **{name: part for name, part in parts.items() if name not in small}})


def unpack(record: bytes) -> dict[str, Column]:
    """What `pack` was given, in whatever type it was kept. Raises InputError for anything else."""
    try:
        parts = load(record)
        parts |= load(zlib.decompress(parts.pop(_COMPRESSED).tobytes()))
        return {
            name: parts[name + _VALUES][part] if name + _VALUES in parts else part
            for name, part in parts.items()
            if not name.endswith(_VALUES)
        }
    except (zlib.error, SafetensorError, KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"Expected a record of a ledger, but: {error}.") from None


def _narrow(column: Column) -> Column:
    """The same numbers in the first type that holds them all; contiguous, as what writes them demands."""
    for dtype in (np.uint8, np.uint16, np.int32, np.float32):
        with np.errstate(invalid="ignore", over="ignore"):  # what does not fit is seen by comparing
            narrow = column.astype(dtype)
        if (narrow == column).all():
            return np.ascontiguousarray(narrow)
    return np.ascontiguousarray(column)


def _listed(name: str, column: Column) -> dict[str, Column]:
    """Budgets, means over draws, the times of shards: which value each entry has, and the values."""
    if column.dtype.kind != "f" or column.ndim > 1:
        return {name: column}
    values, numbers = np.unique(column, return_inverse=True)
    numbers = _narrow(numbers)
    if values.nbytes + numbers.nbytes >= column.nbytes:
        return {name: column}
    return {name: numbers, name + _VALUES: values}


def _gets_small(column: Column) -> bool:
    return len(zlib.compress(column.tobytes(), level=1)) <= _PAYS * column.nbytes
