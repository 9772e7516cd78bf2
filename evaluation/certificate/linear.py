"""Compute the exact robustness of a linear classifier: the distance of each image from the nearest other class.

A perturbation delta changes the lead of class z over y by (w_z - w_y) delta. Within an L_p norm of eps that is at most
eps times the dual norm of w_z - w_y (Hölder), and some delta attains it. So the distance to class z is the lead of y
over z divided by that norm, and the nearest of the other classes decides, since each of them is a half-space of its
own. If the image has to stay in [0, 1], the smallest perturbation to each half-space is still exact: entries that reach
their bounds are fixed, and the others move further.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...attacks._hyperplane import linear_distance, move_onto
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.norms import NORMS, Norm, size

_ROUNDING = 1e-4
"""The largest deviation of a linear network's logits from those of its weights, relative to the largest logit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearClassifier:
    """A linear classifier with logits `weight` (K, D) @ flattened image (D,) + `bias` (K,), in double precision."""

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, model: Model) -> "LinearClassifier":
        """Return a network's linear classifier, its normalisation included, for any network that is linear.

        Raises ConfigError for a network that is not linear, is defended, predicts no classes, or takes images of any
        size.
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
        """Return the logits (N, K) of images (N, C, H, W)."""
        return x.flatten(1).double() @ self.weight.T + self.bias

    def distances(self, x: Tensor, y: Tensor, norm: Norm, *, in_box: bool = True) -> Tensor:
        """Return the distances (N,) of images (N, C, H, W) from the nearest point that is not of class `y` (N,).

        The distance is 0 for images that are not of class `y`. With `in_box` only points in [0, 1] count, as for
        attacks; the distance is infinite if there are none. No attack with a smaller budget than the distance fools the
        classifier, and with any larger one some perturbation does. Raises ConfigError for an unknown norm.
        """
        if norm not in NORMS:
            raise ConfigError(f"Expected a norm of {', '.join(NORMS)}, got {norm!r}.")
        logits, found = self(x), torch.full((len(x),), torch.inf, dtype=torch.float64, device=x.device)
        for other in range(len(self.bias)):
            lead = logits[:, other] - logits.gather(1, y[:, None])[:, 0]
            slope = self.weight[other] - self.weight[y]
            reach = _reach(x.flatten(1).double(), lead, slope, norm, in_box)
            found = torch.where(y == other, found, torch.minimum(found, torch.where(lead > 0, 0.0, reach)))
        return found

    def _check_is(self, model: Model, shape: tuple[int, ...]) -> None:
        x = torch.rand(8, *shape, generator=torch.Generator().manual_seed(0)).to(model.device)
        with torch.no_grad():
            logits = model(x)
        if (self(x) - logits).abs().max() > _ROUNDING * logits.abs().max():
            raise ConfigError(f"Expected a linear network, got {model!r}: its logits are no sum of weighted pixels.")


def _reach(x: Tensor, lead: Tensor, slope: Tensor, norm: Norm, in_box: bool) -> Tensor:
    if norm == "l0":
        return _fewest(x, lead, slope) if in_box else torch.where(slope.any(dim=1), 1.0, torch.inf).double()
    return _in_box(x, lead, slope, norm) if in_box else linear_distance(lead, slope, norm)


def _fewest(x: Tensor, lead: Tensor, slope: Tensor) -> Tensor:
    """Return how many values (N,) must change within [0, 1] to bring the lead (N,) to 0: those that gain most."""
    gains = torch.where(slope > 0, 1 - x, x) * slope.abs()
    together = gains.sort(dim=1, descending=True).values.cumsum(dim=1)
    short = (together < -lead[:, None]).sum(dim=1)
    return torch.where(short == slope.shape[1], torch.inf, short + 1.0).double()


def _in_box(x: Tensor, lead: Tensor, slope: Tensor, norm: Norm) -> Tensor:
    """Return the norms (N,) of the smallest moves within [0, 1] that bring the lead (N,) to 0, inf if none does."""
    move = move_onto(x, slope, -lead, norm)
    missing = -lead - (slope * move).sum(dim=1)
    return torch.where(missing > 1e-9 * (1 + lead.abs()), torch.inf, size(move, norm))
