"""The check that a gradient claimed as exact is that of the outputs, by central differences in random directions.

The gradient itself is no direction to test: with every pixel's slope wrong by 30%, some up and some down, the outputs
still rise along it as steeply as it says, to 8%. In directions independent of it those errors do not cancel.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...core.defense import Defense
from ...core.model import Model
from .checks import hold, images, model, streams

WRONG = 0.15
"""The error from which a gradient is wrong, relative to the slopes: those of built-in defenses are below 0.1."""
STEPS = (1e-4, 3e-4, 3e-5, 1e-3)
"""Steps of each pixel. Small ones lose digits of float32, large ones cross kinks; all are below half an 8-bit level, so
that the slope of a staircase is not taken for that of its ramp."""
DIRECTIONS = 16
POINTS = 4
REMEDY = "Say differentiable = False, and give a surrogate."
_TINY = 1e-30  # guards the division by slopes that are all zero


class _Slopes(NamedTuple):
    """The slopes of the outputs (DIRECTIONS, POINTS), in each direction at each image, per unit of every pixel."""

    said: Tensor
    measured: Tensor

    def errors(self) -> Tensor:
        """Return the relative error at each image: of medians over directions, as a few of these may cross a kink."""
        wrong, scale = (self.said - self.measured).abs(), self.said.abs()
        return wrong.median(dim=0).values / scale.median(dim=0).values.clamp_min(_TINY)

    def complaint(self) -> str:
        """Say what was seen at the image where they differ most."""
        errors = self.errors()
        image = int(errors.argmax())
        along = int(self.said[:, image].abs().argmax())
        said, measured = float(self.said[along, image]), float(self.measured[along, image])
        return (
            f"In a random direction the outputs rise by {measured:.3g} per unit, autograd says {said:.3g}; over "
            f"{DIRECTIONS} directions it is wrong by {float(errors[image]):.0%}. {REMEDY}"
        )


def gradient_is_as_declared(defense: Defense) -> None:
    """With differentiable = True, the gradient of autograd agrees with finite differences of the outputs."""
    if not defense.differentiable:
        return
    system, x = defense.defend(model()), _in_general_position(images(POINTS))
    rng = torch.Generator().manual_seed(0)
    directions = [(2 * torch.randint(2, x.shape[1:], generator=rng) - 1).to(x) for _ in range(DIRECTIONS)]
    said, seen = _said(system, x, directions), []
    for step in STEPS:
        seen.append(_Slopes(said, _measured(system, x, directions, step)))
        if bool((seen[-1].errors() <= WRONG).all()):
            return
    hold(False, min(seen, key=lambda slopes: float(slopes.errors().max())).complaint())


def _in_general_position(x: Tensor) -> Tensor:
    """Return the images without bounds and ties among their pixels, where even an exact gradient is a choice."""
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).to(x)
    return 0.1 + 0.76 * x + 0.04 * noise


def _said(system: Model, x: Tensor, directions: Sequence[Tensor]) -> Tensor:
    """Return the slopes that autograd gives."""
    x = x.clone().requires_grad_()
    outputs = system.logits(x, rng=streams(len(x)))
    hold(outputs.requires_grad, "No gradient comes through; say differentiable = False, or drop detach and no_grad.")
    (gradient,) = torch.autograd.grad(_weighted(outputs).sum(), x)
    hold(torch.isfinite(gradient).all(), "The gradient is not finite; look for a root or a division at zero.")
    hold(gradient.any(), f"The gradient is zero everywhere. {REMEDY}")
    return torch.stack([(gradient * along).flatten(1).double().sum(dim=1) for along in directions])


def _measured(system: Model, x: Tensor, directions: Sequence[Tensor], step: float) -> Tensor:
    """Return the slopes that central differences give."""

    def at(points: Tensor) -> Tensor:
        return _weighted(system.logits(points, rng=streams(len(x))))

    with torch.no_grad():
        return torch.stack([(at(x + step * along) - at(x - step * along)) / (2 * step) for along in directions])


def _weighted(outputs: Tensor) -> Tensor:
    """Return a number for each image, in double precision, since small differences of it are taken."""
    weights = torch.randn(outputs.shape[1:], generator=torch.Generator().manual_seed(0)).to(outputs)
    return (outputs * weights).flatten(1).double().sum(dim=1)
