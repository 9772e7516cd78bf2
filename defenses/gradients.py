"""Gradients through defenses: exact where there are any, BPDA where not, EOT where the defense is random.

BPDA: Athalye, Carlini and Wagner 2018, https://arxiv.org/abs/1802.00420. EOT: Athalye et al. 2018,
https://arxiv.org/abs/1707.07397.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..core.defense import Defense, InputTransform
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.seeding import Draws
from ..core.transform import Transform
from ._straight_through import with_gradient_of


def adaptive(defense: Defense, model: Model, *, draws: int = 1) -> Model:
    """The defended system for an attacker who knows the defense: same outputs, and the best gradient there is.

    Transforms that are differentiable keep their gradient, others get that of their first surrogate at the same point;
    the `alternatives` of the system follow the others. A gradient through a randomized system is the mean over `draws`
    evaluations. Raises ConfigError for `draws` < 1, and for what is no defense.
    """
    if not isinstance(defense, Defense):
        raise ConfigError(f"Expected a defense, such as JPEG(), got {defense!r}.")
    if draws < 1:
        raise ConfigError(f"Expected draws >= 1, got {draws}.")
    defended = defense.defend(model)
    return defended.through([_with_gradient(transform) for transform in defended.transforms], draws=draws)


def _with_gradient(transform: Transform) -> Transform | InputTransform:
    if isinstance(transform, InputTransform) and transform.surrogates:
        return BPDA(defense=transform)
    return transform


@dataclass(frozen=True, kw_only=True)
class BPDA(InputTransform):
    """Forward the transform itself, backward the gradient of a surrogate, with the loss differentiated at the former.

    `surrogate_name` is one of the defense's `surrogates`; None is the transform's own gradient where it has one, else
    the first of them. `alternatives` are those with each. Raises ConfigError where the surrogate has another shape than
    the transform.
    """

    defense: InputTransform
    surrogate_name: str | None = None

    differentiable: ClassVar[bool] = True

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (that of the defense)
        return self.defense.randomized

    @property
    def alternatives(self) -> Mapping[str, "BPDA"]:
        exact = {"exact": replace(self, surrogate_name=None)} if self.defense.differentiable else {}
        return exact | {name: replace(self, surrogate_name=name) for name in self.defense.surrogates}

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        name = self._followed
        if name is None or not (torch.is_grad_enabled() and x.requires_grad):
            return self.defense.transform(x, rng=rng)
        surrogate = self.defense.surrogates[name]
        if name in self.defense.valued:
            return surrogate(x, rng=rng)
        traced, exact = surrogate(x, rng=rng[:]), self.defense.transform(x.detach(), rng=rng)
        if traced.shape != exact.shape:
            shapes = f"{tuple(traced.shape)} and {tuple(exact.shape)}"
            raise ConfigError(f"Expected {self.defense!r} and its surrogate to give one shape, got {shapes}.")
        return with_gradient_of(traced, exact)

    @property
    def _followed(self) -> str | None:
        """The name of the surrogate, None for the transform's own gradient."""
        if self.surrogate_name is None and not self.defense.differentiable:
            return next(iter(self.defense.surrogates))
        return self.surrogate_name
