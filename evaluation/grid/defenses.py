"""The defenses of a recipe, each named by its content and code."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...core.defense import Defense
from ...core.registry import NOTHING
from ..recipe.recipe import Recipe
from .digest import digest
from .identity import OWN, Identity, seen_training, without_training
from .lessons import learns
from .named_files import named_files
from .parameters import parameters
from .sources import source_hash


@dataclass(frozen=True, kw_only=True)
class NamedDefense:
    """A defense of a recipe; the bare model is one without a `defense`."""

    name: str = NOTHING
    defense: Defense | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        return {} if self.defense is None else parameters(self.defense)

    @cached_property
    def digest(self) -> str:
        """A hash of the defense's name, parameters and code, and of the files that it names."""
        return digest(self.name, self.parameters, [] if self.defense is None else made_of(self.defense))

    @property
    def learns(self) -> bool:
        """Whether the defense, or a part of it, learns."""
        return learns(self.defense)

    def before(self, identity: Identity) -> str:
        """Return a hash that names the system: this defense in front of the network with this identity."""
        return digest(without_training(identity), self.digest, *seen_training(identity, [OWN] if self.learns else []))


def systems(recipe: Recipe) -> list[NamedDefense]:
    """Return the bare model, then the defenses of a recipe: the bare model is what every other is compared with."""
    named = zip(recipe.defenses, recipe.build_defenses(), strict=True)
    return [NamedDefense(), *(NamedDefense(name=entry.name, defense=defense) for entry, defense in named)]


def made_of(defense: Defense) -> list[str]:
    """Return hashes of a defense's code and of the files that it names, also of the defenses in its fields."""
    return [*_sources(defense), *named_files(defense)]


def _sources(defense: Defense) -> list[str]:
    """Return hashes of a defense's code, and of the code of the defenses in its fields."""
    found = [source_hash(type(defense))]
    for value in parameters(defense).values():
        for part in value if isinstance(value, tuple) else (value,):
            found += _sources(part) if isinstance(part, Defense) else []
    return found
