"""Where a step that learns stands in a chain of defenses, and what it meets there."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from .seeding import Draws

if TYPE_CHECKING:
    from .defense import Defense, InputTransform, LearningData
    from .learned import Learned
    from .learned_defense import LearnedDefense

_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in a chain, between the input transforms `before` and the steps `after`, all of them fitted."""

    before: "tuple[InputTransform, ...]" = ()
    after: "tuple[Defense, ...]" = ()

    def within(self, outer: "Place") -> "Place":
        """Return the same place as seen from the chain around this one, which stands at the `outer` place."""
        return Place(before=outer.before + self.before, after=self.after + outer.after)

    def seen(self, data: "LearningData", seed: int) -> "LearningData":
        """Return what a step meets here: images changed by the steps before, and the model behind the steps after.

        Of the views that a step before makes of each image, one is kept, in turn.
        """
        images, model = data.images, data.model
        for place, step in enumerate(self.before):
            rng = Draws.of(seed, "place", place, samples=range(len(images)), device=images.device)
            images = _changed(step, images, rng)
        for step in reversed(self.after):
            model = step.defend(model)
        return replace(data, images=images, model=model)


def _changed(step: "InputTransform", images: Tensor, rng: Draws) -> Tensor:
    found = []
    with torch.no_grad():
        for start in range(0, len(images), _BATCH):
            batch = slice(start, start + _BATCH)
            changed = step.transform(images[batch], rng=rng[batch])
            found.append(_one_view(changed, start) if changed.ndim == 5 else changed)
    return torch.cat(found)


def _one_view(views: Tensor, start: int) -> Tensor:
    """Return a view of each image, (N, C, H, W), of its views (N, V, C, H, W), those of a set's images in turn."""
    rows = torch.arange(len(views), device=views.device)
    return views[rows, (start + rows) % views.shape[1]]


ALONE = Place()
"""The place of a defense that is no part of a chain."""


class Teacher(Protocol):
    """Whatever returns the tensors that a part of a defense learns at its place in a chain."""

    def __call__(self, part: "LearnedDefense", place: Place = ALONE) -> "Learned": ...
