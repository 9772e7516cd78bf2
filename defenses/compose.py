"""Several defenses, one after the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import PlainValidator
from torch import Tensor, nn

from ..core import registry
from ..core.defense import Defense, LearnedTransform
from ..core.errors import ConfigError
from ..core.images import check_images
from ..core.learned import Learned
from ..core.model import Model
from ..core.registry import register_defense
from ..core.seeding import Draws, as_draws
from ..tasks.recognition import Recognition

_NO_NETWORK = Model(nn.Identity(), task=Recognition(classes=2))  # never evaluated: to have the transforms in a row


def _from_table(step: Any) -> Defense:
    """From a recipe: {name = ..., parameters beside it}."""
    if not isinstance(step, Mapping) or not isinstance(step.get("name"), str):
        raise ConfigError(
            f"Expected each step to be a table with a name and its parameters, got {step!r}; "
            "defenses that are made already go to Compose(steps=...) itself."
        )
    return registry.defenses.create(step["name"], {key: value for key, value in step.items() if key != "name"})


@register_defense("compose")
@dataclass(frozen=True, kw_only=True)
class Compose(Defense):
    """Apply the `steps` in their order; the first one sees the image.

    In a recipe each step is a table with the name of a defense and its parameters.

    A step that learns does so as if it stood alone: from the training images as they are, and the model without the
    other steps. So what it has learned is the same in every chain, is learned once for all of them, and a chain differs
    from its steps in nothing but their order.
    """

    steps: tuple[Annotated[Defense, PlainValidator(_from_table)], ...]

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

    def __call__(self, x: Tensor, *, rng: Draws | torch.Generator | int | None = None) -> Tensor:
        """What the network of the defended model sees of images (N, C, H, W), given the same `rng`.

        (N, V, C, H, W) where steps make V views of each. Raises InputError for anything but images, and ConfigError
        where a step has yet to learn.
        """
        check_images(x)
        *_, seen = self.defend(_NO_NETWORK).stages(x, as_draws(rng, len(x), x.device))
        return seen if len(seen) == len(x) else seen.unflatten(0, (len(x), -1))

    def with_learned(self, learned: Callable[[LearnedTransform], Learned]) -> "Compose":
        return Compose(steps=tuple(step.with_learned(learned) for step in self.steps))

    def defend(self, model: Model) -> Model:
        for step in reversed(self.steps):
            model = step.defend(model)
        return model
