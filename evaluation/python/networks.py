"""Convert networks in any accepted form to the model entries of a recipe."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ...core.errors import ConfigError
from ...core.model import Model
from ...models import load_model

Network = Model | nn.Module | str | Mapping[str, Any]
"""A network as `foolbench.evaluate` takes it: a Model, an `nn.Module`, an address, or a recipe's table."""


@dataclass(frozen=True)
class GivenNetworks:
    """The networks of one `foolbench.evaluate` call.

    `options` are the arguments of `load_model` for an `nn.Module`, and `size` (height, width) is its default input
    size, that of the images. `held` maps names to the Models that exist in memory, and `given` maps the same names to
    the objects they were made from.
    """

    options: Mapping[str, Any]
    size: Sequence[int]
    held: dict[str, Model] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)

    @property
    def makers(self) -> dict[str, Callable[[], Model]]:
        return {name: lambda model=model: model for name, model in self.held.items()}

    def entries(self, given: Any) -> list[Any]:
        """Return the recipe's entries for one network, a list of them or a mapping from names to them.

        Networks in memory are added to `held`. Raises ConfigError for an object that is no network, and for two
        networks of one name.
        """
        if isinstance(given, Mapping) and not is_table(given):
            return [self._entry(one, name) for name, one in given.items()]
        several = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        return [self._entry(one, None) for one in several]

    def check_options(self) -> None:
        """Raise ConfigError if options were given but no `nn.Module` that takes them: they would be ignored."""
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
        if known is not None:  # the same object is a model and a source model
            return known
        model = _bare(given, self.options, self.size)
        name = name or model.name
        if name in self.held:
            raise ConfigError(f'Two networks are called {name}; name them: {{"a": one, "b": other}}.')
        self.held[name], self.given[name] = model, given
        return name


def is_table(given: Any) -> bool:
    """Return whether a value is a recipe's table, a dict with a text "name", rather than a dict of named networks."""
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
