"""Chains of defenses, applied one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import PlainValidator
from torch import Tensor

from ..core import registry
from ..core.defense import Defense, InputTransform, NetworkDefense
from ..core.errors import ConfigError
from ..core.images import check_images
from ..core.learned import Learned
from ..core.learned_defense import FittedDefense, LearnedDefense, LearnedNetworkDefense, LearnedTransform
from ..core.model import Model
from ..core.place import ALONE, Place, Teacher
from ..core.registry import register_defense
from ..core.seeding import Draws, as_draws
from ..core.task import Task


def _from_table(step: Any) -> Defense:
    """Create a step from its table in a recipe, {name = ..., other keys are parameters}."""
    if not isinstance(step, Mapping) or not isinstance(step.get("name"), str):
        raise ConfigError(
            f"Expected each step to be a table with a name and its parameters, got {step!r}; "
            "defenses that are made already go to Compose(steps=...) itself."
        )
    return registry.defenses.create(step["name"], {key: value for key, value in step.items() if key != "name"})


class _Table(PlainValidator):
    """A validator with a readable repr in the signature: pydantic's own would print the address of a function."""

    def __repr__(self) -> str:
        return "or the table of a recipe"


def _at(outer: Place, learned: Teacher) -> Teacher:
    """Return a teacher for a step at a place of a chain, and for whatever other chain is in this step."""

    def teacher(part: LearnedDefense, place: Place = ALONE) -> Learned:
        return learned(part, ALONE if isinstance(part, LearnedTransform) else place.within(outer))

    return teacher


def _changes_network(step: Defense) -> bool:
    return isinstance(step, NetworkDefense) and not isinstance(step, FittedDefense)


@register_defense("compose")
@dataclass(frozen=True, kw_only=True)
class Compose(Defense):
    """Apply several defenses, the `steps`, in order; the first one sees the image.

    In a recipe each step is a table with the name of a defense and its parameters.

    An input transform learns as if it stood alone: from the original training images, and the model without the other
    steps. What it learns is therefore the same in every chain and is computed once for all of them. A step that decides
    by what the network computes, as a detector does, learns at its place: from images that the input transforms before
    it have changed, and the model behind the steps after it. Steps that change the network belong after it, therefore.

    Broken by what breaks its steps, through all of them at once (He et al. 2017, https://arxiv.org/abs/1706.04701).
    """

    steps: tuple[Annotated[Defense, _Table(_from_table)], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        if not self.steps:
            raise ConfigError("Expected at least one step, got none.")
        for step in self.steps:
            if not isinstance(step, Defense):
                raise ConfigError(f"Expected the steps to be defenses, got {step!r}.")
        rejecting = [step for step in self.steps if step.abstains]
        if len(rejecting) > 1:
            raise ConfigError(f"Expected one step at most that may reject an image, got {len(rejecting)}: {rejecting}.")
        self._check_order()

    def _check_order(self) -> None:
        """Raise ConfigError for a step that would learn from the network without a step that has changed it before."""
        flat = self._flat()
        for at, step in enumerate(flat):
            changing = next(filter(_changes_network, flat[:at]), None)
            if changing is not None and isinstance(step, LearnedNetworkDefense) and step.needs_model:
                raise ConfigError(
                    f"{step!r} learns from the network as the steps after it leave it: expected {changing!r} behind "
                    "it, got it before."
                )

    @property
    def differentiable(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (that of its steps)
        return all(step.differentiable for step in self.steps)

    @property
    def abstains(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return any(step.abstains for step in self.steps)

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return any(step.randomized for step in self.steps)

    def __call__(self, x: Tensor, *, rng: Draws | torch.Generator | int | None = None) -> Tensor:
        """Transform images (N, C, H, W) by all steps, to the images that the defended model's network sees.

        With the same `rng` the result is the same as inside the defended model; it is (N, V, C, H, W) if steps make V
        views of each image. Raises InputError for anything but images, and ConfigError for a step that is not fitted
        yet or that is not an input transform.
        """
        check_images(x)
        streams, seen = as_draws(rng, len(x), x.device), x
        for place, step in enumerate(self._transforms()):
            seen = step.transform(seen, rng=streams.fork(place))
            if seen.ndim == 5:
                streams, seen = streams.split(seen.shape[1]), seen.flatten(0, 1)
        return seen if len(seen) == len(x) else seen.unflatten(0, (len(x), -1))

    def _transforms(self) -> list[InputTransform]:
        """Return the steps, and those of nested chains, as a flat list of input transforms."""
        found: list[InputTransform] = []
        for step in self._flat():
            if isinstance(step, InputTransform):
                found.append(step)
            else:
                raise ConfigError(
                    f"{step!r} transforms no images as it is: call fit(images, model=model) first, or defend a model."
                )
        return found

    def _flat(self) -> list[Defense]:
        """Return the steps, with those of nested chains in their place."""
        return [part for step in self.steps for part in (step._flat() if isinstance(step, Compose) else [step])]

    def check_task(self, task: Task) -> None:
        for step in reversed(self._flat()):
            step.check_task(task)
            task = task.abstaining() if step.abstains else task

    def with_learned(self, learned: Teacher) -> "Compose":
        transforms = InputTransform, LearnedTransform
        fitted = [step.with_learned(learned) if isinstance(step, transforms) else step for step in self._flat()]
        for at in reversed(range(len(fitted))):
            before = tuple(step for step in fitted[:at] if isinstance(step, InputTransform))
            place = Place(before=before, after=tuple(fitted[at + 1 :]))
            fitted[at] = fitted[at].with_learned(_at(place, learned))
        return Compose(steps=tuple(fitted))

    def defend(self, model: Model) -> Model:
        for step in reversed(self.steps):
            model = step.defend(model)
        return model
