"""Pack columns of numbers into compact bytes, and unpack them without loss."""

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
"""The largest compressed share of a column that is worth compressing; beyond it, plain bytes are faster to read."""


def pack(columns: Mapping[str, Column]) -> bytes:
    """Return the columns as bytes, each in the narrowest type, or as indices into its values if these are few.

    The bytes are a safetensors file, in which one tensor holds another such file, compressed, with the columns that
    compress well.
    """
    parts: dict[str, Column] = {}
    for name, column in columns.items():
        parts |= _listed(name, _narrow(column))
    small = {name: part for name, part in parts.items() if _gets_small(part)}
    compressed = np.frombuffer(zlib.compress(save(small), level=1), dtype=np.uint8)
    return save({_COMPRESSED: compressed, **{name: part for name, part in parts.items() if name not in small}})


def unpack(record: bytes) -> dict[str, Column]:
    """Return the columns that `pack` was given, each in its packed type. Raises InputError for other bytes."""
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
    """Return the column in the first type that holds all its numbers, contiguous as safetensors requires."""
    for dtype in (np.uint8, np.uint16, np.int32, np.float32):
        with np.errstate(invalid="ignore", over="ignore"):  # the comparison finds what does not fit
            narrow = column.astype(dtype)
        if (narrow == column).all():
            return np.ascontiguousarray(narrow)
    return np.ascontiguousarray(column)


def _listed(name: str, column: Column) -> dict[str, Column]:
    """Return a float column as indices and values if that is smaller, as for budgets, means over draws and times."""
    if column.dtype.kind != "f" or column.ndim > 1:
        return {name: column}
    values, numbers = np.unique(column, return_inverse=True)
    numbers = _narrow(numbers)
    if values.nbytes + numbers.nbytes >= column.nbytes:
        return {name: column}
    return {name: numbers, name + _VALUES: values}


def _gets_small(column: Column) -> bool:
    return len(zlib.compress(column.tobytes(), level=1)) <= _PAYS * column.nbytes
