"""Several defenses, one after the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainValidator

from ..core import registry
from ..core.defense import Defense, LearnedTransform
from ..core.errors import ConfigError
from ..core.learned import Learned
from ..core.model import Model
from ..core.registry import register_defense


def _as_defense(step: Any) -> Defense:
    """From a recipe's table, {name = ..., parameters beside it}, or the defense itself."""
    if isinstance(step, Defense):
        return step
    if not isinstance(step, Mapping) or "name" not in step:
        raise ConfigError(f"Expected each step to be a table with a name and its parameters, got {step!r}.")
    return registry.defenses.create(step["name"], {key: value for key, value in step.items() if key != "name"})


@register_defense("compose")
@dataclass(frozen=True, kw_only=True)
class Compose(Defense):
    """Apply the `steps` in their order; the first one sees the image.

    In a recipe each step is a table with the name of a defense and its parameters.
    """

    steps: tuple[Annotated[Defense, PlainValidator(_as_defense)], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        if not self.steps:
            raise ConfigError("Expected at least one step, got none.")
        for step in self.steps:
            if not isinstance(step, Defense):
                raise ConfigError(f"Expected the steps to be defenses, got {step!r}.")

    @property
    def differentiable(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (that of its steps)
        return all(step.differentiable for step in self.steps)

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return any(step.randomized for step in self.steps)

    def with_learned(self, learned: Callable[[LearnedTransform], Learned]) -> "Compose":
        return Compose(steps=tuple(step.with_learned(learned) for step in self.steps))

    def defend(self, model: Model) -> Model:
        for step in reversed(self.steps):
            model = step.defend(model)
        return model
