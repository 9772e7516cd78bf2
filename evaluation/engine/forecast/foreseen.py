"""Keep the rates of a calibration in the cache, from which a later run estimates its remaining time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch

from ...grid.digest import digest
from ...grid.grid import Grid
from ..cache.cache import Cache
from ..executors.naming import environment
from ..work.planning import Plan
from ..work.units import Score
from .calibration import Calibration
from .rates import Rate
from .remaining import Kind, kind_of, size_of

_RATE = "rate"


class Foreseen:
    """The cached rates of a recipe's work on one device, named by a hash of all that decides them."""

    def __init__(self, cache: Cache, grid: Grid, device: str) -> None:
        self._cache, self._grid = cache, grid
        self._environment = environment(torch.device(device))

    def keep(self, found: Calibration) -> None:
        """Write the rates of a calibration to the cache."""
        for network, rate in found.looks.items():
            self._write(rate, ("look", network))
        for (network, defense), costs in found.lessons.items():
            self._write(Rate.of_one(costs), ("teach", network, defense))
        for job, row in self._grid.rows:
            key = self._grid.key(job)
            if key in found.searches:
                self._write(Rate.of_one(found.searches[key]), ("search", key))
            if key in found.scores:
                self._write(found.scores[key], ("score", key), list(map(self._grid.key, row)))

    def seconds(self, plan: Plan) -> Mapping[Kind, float]:
        """Return the seconds per image of each kind of step in a plan, as far as they are known."""
        sizes: dict[Kind, list[int]] = defaultdict(list)
        names: dict[Kind, str] = {}
        for step, cells in plan.cells.items():
            if isinstance(step, str):
                continue
            sizes[kind_of(step)].append(size_of(step))
            names[kind_of(step)] = self._name(kind_of(step), list(cells) if isinstance(step, Score) else [])
        found = {kind: self._read(name) for kind, name in names.items()}
        return {kind: _each(rate, sizes[kind]) for kind, rate in found.items() if rate is not None}

    def _name(self, kind: Kind, cells: Sequence[str] = ()) -> str:
        what, of, *more = kind
        return f"rates/{digest(what, self._grid.identities.get(of, of), more, sorted(cells), self._environment)}"

    def _write(self, rate: Rate, kind: Kind, cells: Sequence[str] = ()) -> None:
        self._cache.keep(self._name(kind, cells), {_RATE: torch.tensor(rate.columns, dtype=torch.float64)})

    def _read(self, name: str) -> Rate | None:
        tensors = self._cache.recall(name, {_RATE})
        return None if tensors is None else Rate.from_columns(tensors[_RATE].tolist())


def _each(rate: Rate, sizes: Sequence[int]) -> float:
    """Return the mean seconds per image over calls of these sizes, the first of them the first in the process."""
    calls = [rate.costs(size, first=place == 0).seconds for place, size in enumerate(sizes)]
    return sum(calls) / sum(sizes)
