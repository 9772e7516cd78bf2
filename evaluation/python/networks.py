"""Networks, however they are given, as the models of a recipe."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ...core.errors import ConfigError
from ...core.model import Model
from ...models import load_model

Network = Model | nn.Module | str | Mapping[str, Any]
"""A Model, a network, an address, or a recipe's table of an address and options."""


@dataclass(frozen=True)
class Networks:
    """`entries` are what the recipe lists; `held` are those of them that exist in memory, by name."""

    entries: list[Any] = field(default_factory=list)
    held: dict[str, Model] = field(default_factory=dict)

    @property
    def makers(self) -> dict[str, Callable[[], Model]]:
        return {name: lambda model=model: model for name, model in self.held.items()}

    def add(self, given: Any, name: str | None, options: Mapping[str, Any]) -> None:
        """Raises ConfigError for what is no network, or has the name of another one."""
        if name is None and (isinstance(given, str) or is_table(given)):
            self.entries.append(given)
            return
        model = _bare(given, options)
        name = name or model.name
        if name in self.held:
            raise ConfigError(f'Two networks are called {name}; name them: {{"a": one, "b": other}}.')
        self.held[name] = model
        self.entries.append(name)


def networks(given: Any, options: Mapping[str, Any]) -> Networks:
    """One or several, by name where they come in a mapping; `options` are what `load_model` needs of a bare network."""
    found = Networks()
    if isinstance(given, Mapping) and not is_table(given):
        for name, one in given.items():
            found.add(one, name, options)
    else:
        for one in given if isinstance(given, Sequence) and not isinstance(given, str) else [given]:
            found.add(one, None, options)
    return found


def is_table(given: Any) -> bool:
    """Whether it is a recipe's, and not networks by name."""
    return isinstance(given, Mapping) and isinstance(given.get("name"), str)


def _bare(given: Any, options: Mapping[str, Any]) -> Model:
    if isinstance(given, Model):
        if given.transforms:
            raise ConfigError(f"{given!r} is defended already; give the bare model, and what defends it as defenses=.")
        return given
    if is_table(given):
        return load_model(given["name"], **{key: value for key, value in given.items() if key != "name"})
    if not isinstance(given, nn.Module):
        return load_model(given)
    missing = [option for option in ("mean", "std") if options[option] is None]
    if missing:
        raise ConfigError(
            f"Expected {' and '.join(missing)} beside {type(given).__name__}, by which it wants pixels in [0, 1] to be "
            "normalised; mean=0, std=1 where it does that by itself."
        )
    return load_model(given, **{option: value for option, value in options.items() if value is not None})
