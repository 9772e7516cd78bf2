"""Fast gradient sign method (Goodfellow et al. 2015, https://arxiv.org/abs/1412.6572)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..core.attack import Access, Attack
from ..core.model import Model
from ..core.norms import Norm
from ..core.registry import register_attack
from ..core.seeding import Draws
from ._gradient import loss_and_gradient
from ._losses import Objective


@register_attack("fgsm")
@dataclass(frozen=True, kw_only=True)
class FGSM(Attack):
    """One step of length eps along the steepest ascent of the loss (descent towards `y` if targeted).

    Under L2 the direction is the normalised gradient (the "fast gradient method"); under L1 the values with the largest
    gradients become black or white until eps is used up. On a linear model of two classes that is optimal, under L2
    where [0, 1] clips nothing.
    """

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2", "l1")
    one_step: ClassVar[bool] = True

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        _, gradient, _ = loss_and_gradient(model, x, y, rng=rng, loss=Objective(model.task, targeted=self.targeted))
        return self.threat.around(x).ascend_(x.clone(), gradient, self.eps)
