"""Gradients through defenses: exact gradients or BPDA, and EOT where the defense is randomized.

BPDA: Athalye, Carlini and Wagner 2018, https://arxiv.org/abs/1802.00420. EOT: Athalye et al. 2018,
https://arxiv.org/abs/1707.07397.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..core.defense import Defense, ShellDefense
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.seeding import Draws
from ..core.shell import Inside, Shell


def adaptive(defense: Defense, model: Model, *, draws: int = 1) -> Model:
    """Return the defended model as an adaptive attack sees it: same outputs, with gradients to follow.

    Differentiable defenses keep their exact gradient; others get that of their first surrogate, evaluated at the same
    point. The `alternatives` of the returned model have the gradients of each surrogate. The gradient of a randomized
    system is the mean over `draws` evaluations (EOT). Raises ConfigError for `draws` < 1 or anything but a defense.
    """
    if not isinstance(defense, Defense):
        raise ConfigError(f"Expected a defense, such as JPEG(), got {defense!r}.")
    if draws < 1:
        raise ConfigError(f"Expected draws >= 1, got {draws}.")
    defended = defense.defend(model)
    return defended.through([_with_gradient(shell) for shell in defended.shells], draws=draws)


def _with_gradient(shell: Shell) -> Shell:
    if isinstance(shell, ShellDefense) and shell.surrogates:
        return BPDA(defense=shell)  # pyright: ignore[reportReturnType] (a fact may be a property)
    return shell


@dataclass(frozen=True, kw_only=True)
class BPDA:
    """Backward pass differentiable approximation: a defense's outputs, with the gradient of one of its surrogates.

    Only the backward pass uses the surrogate; the loss is differentiated at the output of the defense itself.
    `surrogate_name` is one of the defense's `surrogates`; None means the defense's own gradient if it is
    differentiable, else the first surrogate. `alternatives` has one BPDA per surrogate, and one for the exact gradient,
    by name. `answer` raises ConfigError if the surrogate's shape differs from the defense's.
    """

    defense: ShellDefense
    surrogate_name: str | None = None

    differentiable: ClassVar[bool] = True

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (that of the defense)
        return self.defense.randomized

    @property
    def abstains(self) -> bool:
        return self.defense.abstains

    @property
    def alternatives(self) -> Mapping[str, "BPDA"]:
        exact = {"exact": replace(self, surrogate_name=None)} if self.defense.differentiable else {}
        return exact | {name: replace(self, surrogate_name=name) for name in self.defense.surrogates}

    def answer(self, inside: Inside, x: Tensor, *, rng: Draws) -> Tensor:
        name = self._followed
        if name is None or not (torch.is_grad_enabled() and x.requires_grad):
            return self.defense.answer(inside, x, rng=rng)
        return self.defense.answer_along(name, inside, x, rng=rng)

    @property
    def _followed(self) -> str | None:
        """The name of the surrogate in use, None for the defense's own gradient."""
        if self.surrogate_name is None and not self.defense.differentiable:
            return next(iter(self.defense.surrogates))
        return self.surrogate_name
