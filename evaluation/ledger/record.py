"""The outcomes of one cell on some images, as columns of numbers, and encoded as one compact record."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ...core.errors import InputError
from .packing import Column, pack, unpack

Columns = Mapping[str, Column]

SHARES = ("gfr", "floor")
"""The columns that are in [0, 1] for every metric."""
_FLAGS, _STEPS, _OF_METRIC = "flags", "steps", "/"


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """The outcomes of one cell, with one entry per image in every column.

    `samples` (N,) are the images' indices, in any order, each once. `images` are columns about the images themselves,
    such as the size of the perturbation and its cost. `metrics` has the columns of each metric by its name, in the
    metric's unit, except `gfr` and `floor`, which are in [0, 1]. A column (N,) holds values, a column (N, S) the
    statistics that the metric is computed from; for `gfr` and `floor` these are the statistics of the agreement, whose
    complement they are. `flags` are reasons to doubt all of it. Raises InputError for missing, negative or infinite
    numbers, and for columns that do not fit the samples.
    """

    samples: NDArray[np.int64]
    images: Columns
    metrics: Mapping[str, Columns]
    flags: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", np.asarray(self.samples, dtype=np.int64))
        object.__setattr__(self, "images", _arrays(self.images))
        object.__setattr__(self, "metrics", {name: _arrays(columns) for name, columns in self.metrics.items()})
        if self.samples.ndim != 1 or (self.samples < 0).any() or not _distinct(self.samples):
            raise InputError("Expected every image of a shard once, by its index.")
        for name, column in self._columns().items():
            _check(name, column, len(self.samples))

    def only(self, samples: ArrayLike) -> "Outcomes":
        """Return the outcomes of those of `samples` that are present, ordered by sample."""
        wanted = np.sort(np.asarray(samples, dtype=np.int64))
        if np.array_equal(wanted, self.samples):
            return self
        return self._take(np.isin(self.samples, wanted)).ordered()

    def ordered(self) -> "Outcomes":
        """Return the outcomes ordered by sample."""
        return self if _ascends(self.samples) else self._take(np.argsort(self.samples))

    def frame(self, metric: str) -> pd.DataFrame:
        """Return a row per image: its sample, and the columns that hold one number per image."""
        columns = sorted({**self.images, **self.metrics[metric]}.items())
        numbers = {name: column.astype(float) for name, column in columns if column.ndim == 1}
        return pd.DataFrame({"sample": self.samples} | numbers, copy=False)  # `astype` has copied them

    def encode(self) -> bytes:
        """Return the outcomes as a record, lossless and ordered by sample."""
        if not _ascends(self.samples):
            return self.ordered().encode()
        steps = np.diff(self.samples, prepend=0)  # mostly ones, which compress to nothing
        flags = np.frombuffer(json.dumps(sorted(self.flags)).encode(), dtype=np.uint8)
        return pack({_STEPS: steps, _FLAGS: flags, **self._columns()})

    @classmethod
    def decode(cls, record: bytes) -> "Outcomes":
        """Return the outcomes of a record that `encode` has made. Raises InputError for other bytes."""
        columns = unpack(record)
        try:
            flags = frozenset(map(str, json.loads(columns.pop(_FLAGS).tobytes())))
            samples = columns.pop(_STEPS).astype(np.int64).cumsum()
            images: dict[str, Column] = {}
            metrics: dict[str, dict[str, Column]] = {}
            for name, column in columns.items():
                metric, of_metric, quantity = name.rpartition(_OF_METRIC)
                (metrics.setdefault(metric, {}) if of_metric else images)[quantity] = column
            return cls(samples=samples, images=images, metrics=metrics, flags=flags)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"Expected a record of a ledger, but: {error}.") from None

    def _columns(self) -> dict[str, Column]:
        of_metrics = {
            f"{metric}{_OF_METRIC}{name}": column
            for metric, columns in self.metrics.items()
            for name, column in columns.items()
        }
        return {**self.images, **of_metrics}

    def _take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Outcomes":
        """Return the outcomes of these rows, selected by index or by a boolean mask."""
        return Outcomes(
            samples=self.samples[rows],
            images={name: column[rows] for name, column in self.images.items()},
            metrics={
                metric: {name: column[rows] for name, column in columns.items()}
                for metric, columns in self.metrics.items()
            },
            flags=self.flags,
        )


def merged(parts: Sequence[Outcomes]) -> Outcomes:
    """Merge outcomes with the same columns, ordered by sample; for an image in several parts the last one counts."""
    samples = np.concatenate([part.samples for part in parts])
    known, from_behind = np.unique(samples[::-1], return_index=True)
    rows = len(samples) - 1 - from_behind
    first = parts[0]

    def column(of: "Sequence[Columns]", name: str) -> Column:
        return np.concatenate([columns[name] for columns in of])[rows]

    return Outcomes(
        samples=known,
        images={name: column([part.images for part in parts], name) for name in first.images},
        metrics={
            metric: {name: column([part.metrics[metric] for part in parts], name) for name in columns}
            for metric, columns in first.metrics.items()
        },
        flags=frozenset().union(*(part.flags for part in parts)),
    )


def _arrays(columns: Mapping[str, ArrayLike]) -> Columns:
    return {name: np.asarray(column) for name, column in columns.items()}


def _ascends(samples: NDArray[np.int64]) -> bool:
    return bool((samples[1:] > samples[:-1]).all())


def _distinct(samples: NDArray[np.int64]) -> bool:
    return _ascends(samples) or len(np.unique(samples)) == len(samples)


def _check(name: str, column: Column, count: int) -> None:
    if column.dtype.kind not in "biuf" or column.ndim == 0 or len(column) != count:
        raise InputError(f"Expected {count} numbers as {name}, got {column.dtype} {column.shape}.")
    share = column.ndim == 1 and name.rpartition(_OF_METRIC)[2] in SHARES
    most = 1 if share else sys.float_info.max
    low, high = (float(column.min()), float(column.max())) if count else (0.0, 0.0)
    if not 0 <= low <= high <= most:  # NaN is in no range
        raise InputError(f"Expected finite numbers as {name} in 0..{most:.3g}, got {low} to {high}.")
