"""Gradients through defenses: exact where there are any, BPDA where not, EOT where the defense is random.

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
    """The defended system for an attacker who knows the defense: same outputs, and the best gradient there is.

    Shells that are differentiable keep their gradient, others get that of their first surrogate at the same point; the
    `alternatives` of the system follow the others. A gradient through a randomized system is the mean over `draws`
    evaluations. Raises ConfigError for `draws` < 1, and for what is no defense.
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
    """A shell that answers as the defense, and has the gradient of a surrogate.

    That of a loss is taken at what the transform itself, or the rule, gives. `surrogate_name` is one of the defense's
    `surrogates`; None is the defense's own gradient where it has one, else the first of them. `alternatives` are those
    with each. Raises ConfigError where the surrogate has another shape than what it stands in for.
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
        """The name of the surrogate, None for the defense's own gradient."""
        if self.surrogate_name is None and not self.defense.differentiable:
            return next(iter(self.defense.surrogates))
        return self.surrogate_name
