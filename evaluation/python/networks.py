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
class GivenNetworks:
    """Those of a run, however they are given. `options` are what `load_model` needs of a bare network, whose `size` is
    that of the images if none is given; `held` are those that exist in memory, by name, and `given` the objects that
    they were made of.
    """

    options: Mapping[str, Any]
    size: Sequence[int]
    held: dict[str, Model] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)

    @property
    def makers(self) -> dict[str, Callable[[], Model]]:
        return {name: lambda model=model: model for name, model in self.held.items()}

    def entries(self, given: Any) -> list[Any]:
        """What the recipe lists for one or several, by name where they come in a mapping.

        Raises ConfigError for what is no network, or has the name of another one.
        """
        if isinstance(given, Mapping) and not is_table(given):
            return [self._entry(one, name) for name, one in given.items()]
        several = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        return [self._entry(one, None) for one in several]

    def check_options(self) -> None:
        """Raises ConfigError for options of bare networks where there are none, which would be told nobody."""
        told = [option for option, value in self.options.items() if value is not None]
        if told and not any(isinstance(one, nn.Module) for one in self.given.values()):
            raise ConfigError(
                f"Expected an nn.Module, whose {' and '.join(told)} they are, got addresses or Models alone; give an "
                f'address its own in a table, {{"name": ADDRESS, "{told[0]}": ...}}.'
            )

    def _entry(self, given: Any, name: Any) -> Any:
        if name is None and (isinstance(given, str) or is_table(given)):
            return given
        if name is not None and not (isinstance(name, str) and name.strip()):
            raise ConfigError(f"Expected names of networks, as {{'mine': net}}, got {name!r}.")
        known = next((known for known, one in self.given.items() if one is given and name in (None, known)), None)
        if known is not None:  # a model that is a source too
            return known
        model = _bare(given, self.options, self.size)
        name = name or model.name
        if name in self.held:
            raise ConfigError(f'Two networks are called {name}; name them: {{"a": one, "b": other}}.')
        self.held[name], self.given[name] = model, given
        return name


def is_table(given: Any) -> bool:
    """Whether it is a recipe's, and not networks by name."""
    return isinstance(given, Mapping) and isinstance(given.get("name"), str)


def _bare(given: Any, options: Mapping[str, Any], size: Sequence[int]) -> Model:
    if isinstance(given, Model):
        if given.shells:
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
    return load_model(given, **{"size": size, **{key: value for key, value in options.items() if value is not None}})
