"""Ascent of the activations of a network's feature layers, over one perturbation: shared by GD-UAP and FFF."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from ...core.model import Model
from ...core.seeding import Draws
from .._gradient import check_differentiable, check_finite, mean

Energy = Callable[[Tensor], Tensor]
"""Maps the activations of one layer, of the whole batch, to one number >= 0."""


class _HalfSquaredNorm(torch.autograd.Function):
    """Half the squared norm, in one pass over the data forward and one back: autograd's own takes three times that."""

    @staticmethod
    def forward(ctx: Any, activations: Tensor) -> Tensor:
        ctx.save_for_backward(activations)
        return 0.5 * torch.linalg.vector_norm(activations).square()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return ctx.saved_tensors[0] * gradients[0]


def half_squared_norm(activations: Tensor) -> Tensor:
    return cast(Tensor, _HalfSquaredNorm.apply(activations))


def mean_magnitude(activations: Tensor) -> Tensor:
    return activations.abs().mean()


class FeatureAscent:
    """Ascent with Adam, over one perturbation, of the sum over layers of log(energy of the batch's activations).

    For a randomized system it follows the mean of that sum over `model.draws` evaluations (EOT). `learning_rate` is in
    units of eps. A step raises GradientError if the gradient is not finite.
    """

    def __init__(
        self,
        model: Model,
        pool: Tensor,
        rng: Draws,
        *,
        eps: float,
        learning_rate: float,
        batch_size: int = 1,
        energy: Energy = half_squared_norm,
    ) -> None:
        check_differentiable(model)
        self._model, self._single = model, model.through(model.shells)
        self._pool, self._batch_size, self._energy = pool, batch_size, energy
        self._rows, self._steps = rng.fork("batches"), 0
        start = rng.fork("start").uniform(pool.shape[1:], -eps, eps)[0]
        self.delta = start.requires_grad_()
        self._bound = torch.tensor(eps, dtype=start.dtype, device=start.device)  # eps rounded to float32
        self._adam = torch.optim.Adam([self.delta], lr=learning_rate * eps)

    def step(self) -> None:
        self.delta.grad = self._descent_direction()
        self._adam.step()
        self._steps += 1
        with torch.no_grad():
            self.delta.clamp_(-self._bound, self._bound)

    def state(self) -> dict[str, Tensor]:
        """Return the state for a checkpoint."""
        moments = {f"adam.{name}": part for name, part in self._adam.state[self.delta].items()}
        return {"delta": self.delta, "iteration": torch.tensor(self._steps), **moments}

    def restore(self, state: dict[str, Tensor]) -> None:
        with torch.no_grad():
            self.delta.copy_(state["delta"])
        self._steps = int(state["iteration"])
        moments = {name.removeprefix("adam."): part for name, part in state.items() if name.startswith("adam.")}
        self._adam.state[self.delta] = moments | {"step": moments["step"].cpu()}  # where Adam counts, even on a GPU

    def saturated(self) -> int:
        """Return the number of entries at the bound."""
        return int((self.delta.detach().abs() == self._bound).sum())

    def halve(self) -> None:
        with torch.no_grad():
            self.delta.div_(2)

    def _descent_direction(self) -> Tensor:
        batch = self._batch()
        draws = self._rows.fork(f"draws {self._steps}").split(len(batch))
        gradient = mean([self._gradient(batch, streams) for streams in self._model.evaluations(draws)])
        check_finite(self._model, gradient[None])
        return gradient

    def _gradient(self, batch: Tensor, draws: Draws | None) -> Tensor:
        """Return the gradient of minus the objective, in one evaluation of the model."""
        features = self._single.features(batch + self.delta, rng=draws)
        energies = torch.stack([self._energy(activations) for activations in features])
        loss = -energies.clamp_min(1e-30).log().sum()  # a dead layer has no energy, and no gradient
        return torch.autograd.grad(loss, self.delta)[0]

    def _batch(self) -> Tensor:
        if len(self._pool) == 1:
            return self._pool  # repeating one image would only shift the objective
        return self._pool[self._rows.fork(self._steps).integers(len(self._pool), (self._batch_size,))[0]]
