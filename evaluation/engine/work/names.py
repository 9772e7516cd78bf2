"""What the units of a recipe name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from ....core.errors import ConfigError
from ...grid.cells import Cell, Job
from ...grid.defenses import NamedDefense, systems
from ...grid.grid import jobs
from ...grid.identity import Identities
from ...recipe.recipe import Recipe

T = TypeVar("T")


class _Known(dict[str, T]):
    def __missing__(self, key: str) -> T:
        raise ConfigError(f"Nothing of this recipe is called {key} here: every machine needs the same code.")


@dataclass(frozen=True)
class Names:
    """Of a recipe, for networks of which these are the `identities`. Raise ConfigError for what is unknown here."""

    recipe: Recipe
    identities: Identities

    @cached_property
    def cells(self) -> Mapping[str, Cell]:
        """By key."""
        rows = (row for source in self.recipe.networks for _, row in jobs(self.recipe, source))
        return _Known({cell.key(self.identities): cell for row in rows for cell in row})

    @cached_property
    def jobs(self) -> Mapping[str, Job]:
        """By key."""
        return _Known({cell.job.key(self.identities): cell.job for cell in self.cells.values()})

    @cached_property
    def defenses(self) -> Mapping[str, NamedDefense]:
        """By digest."""
        return _Known({named.digest: named for named in systems(self.recipe)})

    def check(self, cells: Iterable[str]) -> None:
        """That they are known."""
        for key in cells:
            self.cells[key]
