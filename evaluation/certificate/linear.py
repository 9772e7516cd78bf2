"""What attacks can leave of a linear classifier, exactly: how far each image is from the nearest other class.

A change delta moves the lead of class z over y by (w_z - w_y) delta. Within an L_p norm of eps that is at most eps
times the dual norm of w_z - w_y (Hölder), and some delta reaches it. So class z begins at the lead divided by that
norm, and the nearest of all other classes decides, also where there are many: each of them is a half-space of its own.
Where the image has to stay in [0, 1] the smallest move to each half-space is still exact, found by filling up the
entries that meet their bounds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...attacks._hyperplane import linear_distance, move_onto
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.norms import Norm, size

_ROUNDING = 1e-4
"""Of the largest logit, what a network may be off its own weights and still be linear."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearClassifier:
    """Logits are `weight` (K, D) times the flat image plus `bias` (K,), both in double precision."""

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, model: Model) -> "LinearClassifier":
        """The weights of any network that is linear, its normalisation included.

        Raises ConfigError for one that is not, or whose images may have any size.
        """
        shape = tuple(side for side in model.shape if side is not None)
        if len(shape) < 3 or model.shells or model.task.class_scores is None:
            raise ConfigError(f"Expected a bare network for classes of images of one size, got {model!r}.")
        black = torch.zeros(1, *shape, device=model.device).requires_grad_()
        logits = model(black)
        rows = [torch.autograd.grad(logit, black, retain_graph=True)[0].flatten() for logit in logits[0]]
        found = cls(weight=torch.stack(rows).double(), bias=logits[0].detach().double())
        found._check_is(model, shape)
        return found

    def __call__(self, x: Tensor) -> Tensor:
        """Logits (N, K)."""
        return x.flatten(1).double() @ self.weight.T + self.bias

    def distances(self, x: Tensor, y: Tensor, norm: Norm, *, in_box: bool = True) -> Tensor:
        """How far (N,) images are, in `norm`, from the nearest that is not of class `y`: 0 where they are not of it.

        `in_box` counts images in [0, 1] alone, as attacks have to make them; without it, all. Infinite where there are
        none. No attack with a smaller budget fools, and with any larger one some change does.
        """
        logits, found = self(x), torch.full((len(x),), torch.inf, dtype=torch.float64, device=x.device)
        for other in range(len(self.bias)):
            lead = logits[:, other] - logits.gather(1, y[:, None])[:, 0]
            slope = self.weight[other] - self.weight[y]
            reach = _in_box(x.flatten(1).double(), lead, slope, norm) if in_box else linear_distance(lead, slope, norm)
            found = torch.where(y == other, found, torch.minimum(found, torch.where(lead > 0, 0.0, reach)))
        return found

    def _check_is(self, model: Model, shape: tuple[int, ...]) -> None:
        x = torch.rand(8, *shape, generator=torch.Generator().manual_seed(0)).to(model.device)
        with torch.no_grad():
            logits = model(x)
        if (self(x) - logits).abs().max() > _ROUNDING * logits.abs().max():
            raise ConfigError(f"Expected a linear network, got {model!r}: its logits are no sum of weighted pixels.")


def _in_box(x: Tensor, lead: Tensor, slope: Tensor, norm: Norm) -> Tensor:
    """The size of the smallest move (N, D) that brings the lead to 0."""
    move = move_onto(x, slope, -lead, norm)
    missing = -lead - (slope * move).sum(dim=1)
    return torch.where(missing > 1e-9 * (1 + lead.abs()), torch.inf, size(move, norm))
