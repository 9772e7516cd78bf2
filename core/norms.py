"""L_p geometry of perturbations: size, projection, steepest ascent, random points. The one place that knows it.

A perturbation is a float tensor (N, ...); "its norm" is the norm of each row, flattened.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from .errors import ConfigError
from .seeding import Draws

Norm = Literal["linf", "l2"]
NORMS: tuple[Norm, ...] = get_args(Norm)

_TINY = 1e-12  # guards divisions by the norm of an all-zero row


def check_norm(norm: str) -> None:
    if norm not in NORMS:
        raise ConfigError(f"Expected norm to be one of {', '.join(NORMS)}, got {norm!r}.")


def per_row(values: Tensor, like: Tensor) -> Tensor:
    """Reshape (N,) so that it broadcasts against (N, ...)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def size(delta: Tensor, norm: Norm) -> Tensor:
    """The norm of each perturbation, shape (N,)."""
    flat = delta.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else torch.linalg.vector_norm(flat, dim=1)


def project(delta: Tensor, norm: Norm, eps: float) -> Tensor:
    """The nearest perturbation (in L2) whose norm is at most `eps`."""
    if norm == "linf":
        return delta.clamp(-eps, eps)
    return delta * per_row((eps / size(delta, "l2").clamp_min(_TINY)).clamp_max(1), delta)


def steepest(gradient: Tensor, norm: Norm) -> Tensor:
    """The direction of unit norm along which a linear function with this gradient grows fastest."""
    if norm == "linf":
        return gradient.sign()
    largest = per_row(size(gradient, "linf").clamp_min(torch.finfo(gradient.dtype).tiny), gradient)
    scaled = gradient / largest  # squares of 1e-25 or 1e25 would leave float32
    return scaled / per_row(size(scaled, "l2").clamp_min(_TINY), gradient)


def random_point(draws: Draws, shape: tuple[int, ...], norm: Norm, eps: float) -> Tensor:
    """A uniform point of the ball of radius `eps`, one per stream; `shape` is that of one perturbation."""
    if norm == "linf":
        return draws.uniform(shape, -eps, eps)
    direction = steepest(draws.normal(shape), "l2")
    dimensions = direction[0].numel()
    return direction * per_row(eps * draws.uniform() ** (1 / dimensions), direction)
