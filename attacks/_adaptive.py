"""Projected gradient ascent whose step size adapts to each image: the inner loop of Auto-PGD."""

import torch
from torch import Tensor

from ..core.ball import Ball
from ..core.norms import per_row, steepest
from ..core.seeding import Draws
from ._rows import Rows

MOMENTUM = 0.25
"""The weight of a repetition of the last move in the next one."""
RHO = 0.75
"""The share of steps that have to raise the loss; below it, the step size is halved."""


class AdaptiveAscent(Rows):
    """The state of the ascent of each image.

    `rows`, `y`, `rival` and `draws` are the caller's, who computes losses and gradients; here they are only kept in
    step.
    """

    def __init__(self, start: Tensor, ball: Ball, rows: Tensor, y: Tensor, rival: Tensor | None, draws: Draws) -> None:
        self.ball, self.rows, self.y, self.rival, self.draws = ball, rows, y, rival, draws
        self.point = self.last_point = ball.project_(start)
        self.gradient = torch.zeros_like(start)
        self.step_size = start.new_full((len(start),), 2 * ball.eps)
        self.best, self.best_gradient = self.point.clone(), self.gradient.clone()
        self.last_loss = torch.full_like(self.step_size, torch.inf)
        self.best_loss = -self.last_loss
        self.reached = torch.zeros_like(rows, dtype=torch.bool)  # whether the best point is adversarial
        self.improved = self.reached  # since the last checkpoint, like `rises`
        self.rises = torch.zeros_like(rows)
        self.halved = ~self.reached  # at the last checkpoint

    def note(self, loss: Tensor, gradient: Tensor | None, reached: Tensor) -> None:
        """Record loss, gradient and success at the current points; the last points of a search need no gradient."""
        if gradient is not None:
            self.gradient = gradient
        better = beats(reached, loss, self.reached, self.best_loss)
        take(self.best, self.point, better)
        take(self.best_gradient, self.gradient, better)
        self.best_loss = torch.where(better, loss, self.best_loss)
        self.reached = self.reached | reached
        self.improved = self.improved | better
        self.rises = self.rises + (loss > self.last_loss)
        self.last_loss = loss

    def adapt(self, enough: float) -> None:
        """Halve the step size where the loss rose less often than `enough`, or the present size led to no new best.

        Those images return to their best point.
        """
        halve = (self.rises < enough) | ~(self.improved | self.halved)
        self.step_size = torch.where(halve, self.step_size / 2, self.step_size)
        take(self.point, self.best, halve)
        take(self.gradient, self.best_gradient, halve)
        self.rises = torch.zeros_like(self.rises)
        self.improved, self.halved = torch.zeros_like(halve), halve

    def move(self, momentum: float) -> None:
        """Take a projected step, average it with a repetition of the last move, and project the result.

        The repetition has the weight `momentum`. The gradient is overwritten.
        """
        ahead = self.gradient.sign_() if self.ball.norm == "linf" else steepest(self.gradient, self.ball.norm)
        torch.addcmul(self.point, ahead, per_row(self.step_size, ahead), out=ahead)
        self.ball.project_(ahead)
        if momentum:
            ahead.mul_(1 - momentum).add_(self.point, alpha=2 * momentum).sub_(self.last_point, alpha=momentum)
            self.ball.project_(ahead)
        self.last_point, self.point = self.point, ahead


def checkpoints(steps: int) -> dict[int, int]:
    """Return the steps before which step sizes are reconsidered, and the number of steps since the one before."""
    shorter, shortest = max(int(0.03 * steps), 1), max(int(0.06 * steps), 1)
    period = step = max(int(0.22 * steps), 1)
    periods = {}
    while step < steps:
        periods[step] = period
        period = max(period - shorter, shortest)
        step += period
    return periods


def take(into: Tensor, values: Tensor, rows: Tensor) -> None:
    """Set `into[rows] = values[rows]` for finite tensors and a mask, in a sixth of the time, without a device wait."""
    into.lerp_(values, per_row(rows, into).to(into))


def beats(reached: Tensor, loss: Tensor, than_reached: Tensor, than_loss: Tensor) -> Tensor:
    """Return a mask of the points that are better: adversarial first, then the larger loss."""
    return (reached & ~than_reached) | ((reached == than_reached) & (loss > than_loss))
