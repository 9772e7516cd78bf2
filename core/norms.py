"""L_p geometry of perturbations: size, projection, steepest ascent, random points. No other module knows it.

A perturbation is a float tensor (N, ...); "its norm" is the norm of each row, flattened. "l0" is the number of values
that differ from zero (of a colour image three a pixel), no norm in the mathematical sense.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from .errors import ConfigError
from .seeding import Draws

Norm = Literal["linf", "l2", "l1", "l0"]
NORMS: tuple[Norm, ...] = get_args(Norm)

_TINY = 1e-12  # guards divisions by the norm of an all-zero row


def check_norm(norm: str) -> None:
    """Raise ConfigError for an unknown norm."""
    if norm not in NORMS:
        raise ConfigError(f"Expected norm to be one of {', '.join(NORMS)}, got {norm!r}.")


def per_row(values: Tensor, like: Tensor) -> Tensor:
    """Reshape (N,) so that it broadcasts against (N, ...)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def size(delta: Tensor, norm: Norm) -> Tensor:
    """Return the norm of each perturbation, shape (N,)."""
    flat = delta.flatten(1)
    if norm == "linf":
        return flat.abs().amax(1)
    return torch.linalg.vector_norm(flat, ord={"l2": 2, "l1": 1, "l0": 0}[norm], dim=1)


def dual_size(slope: Tensor, norm: Norm) -> Tensor:
    """Return the dual norm of each gradient, shape (N,): what a linear function gains per unit of `norm`.

    It is computed in double precision. In float32 the squares of 1e-25 are 0, and gradients as small are those of a
    confident network, not of a flat one. Raises ConfigError for L0.
    """
    _not_l0(norm, "a dual norm")
    order = {"linf": 1.0, "l2": 2.0, "l1": torch.inf}[norm]
    return torch.linalg.vector_norm(slope.flatten(1), ord=order, dim=1, dtype=torch.float64)


def project(delta: Tensor, norm: Norm, eps: float) -> Tensor:
    """Return the nearest perturbation (in L2) of norm at most `eps`; of several, under L0, one. L1: `shrink_to`."""
    if norm == "linf":
        return delta.clamp(-eps, eps)
    if norm == "l2":
        return delta * per_row((eps / size(delta, "l2").clamp_min(_TINY)).clamp_max(1), delta)
    if norm == "l1":
        raise ConfigError("Expected norm linf, l2 or l0 for a projection, got l1: shrink_to knows of the box, too.")
    flat = delta.flatten(1)
    kept = flat.abs().topk(int(min(eps, flat.shape[1])), dim=1).indices
    return torch.zeros_like(flat).scatter(1, kept, flat.gather(1, kept)).reshape(delta.shape)


def shrink_to(delta: Tensor, room: Tensor, eps: float) -> Tensor:
    """Return the point nearest to `delta` (N, D) with |.| <= `room` per entry and an L1 norm of at most `eps`.

    It is sign(delta) * clamp(|delta| - shift, 0, room) with one shift >= 0 per row. Its L1 norm falls piecewise
    linearly in the shift, so the shift is interpolated between the two knots where the norm passes `eps`.
    """
    length = delta.abs().double()
    knots, order = torch.cat([length, length - room], dim=1).sort(dim=1, descending=True)
    slopes = torch.where(order < delta.shape[1], 1.0, -1.0).to(length).cumsum(dim=1)  # below each knot
    norms = torch.zeros_like(knots)  # at each knot
    norms[:, 1:] = ((knots[:, :-1] - knots[:, 1:]) * slopes[:, :-1]).cumsum(dim=1)
    last = (norms <= eps).sum(dim=1, keepdim=True) - 1  # the norm passes eps between this knot and the next
    shift = knots.gather(1, last) - (eps - norms.gather(1, last)) / slopes.gather(1, last).clamp_min(1)
    return delta.sign() * torch.minimum((length - shift.clamp_min(0)).clamp_min(0).to(delta), room)


def fill_in_turn(amounts: Tensor, priority: Tensor, total: Tensor | float) -> Tensor:
    """Take `amounts` (..., D), none negative, in order of falling `priority` until they sum to `total`."""
    order = priority.argsort(dim=-1, descending=True, stable=True).expand_as(amounts)
    in_turn = amounts.gather(-1, order)
    before = in_turn.cumsum(dim=-1) - in_turn
    return torch.zeros_like(amounts).scatter(-1, order, torch.minimum((total - before).clamp_min(0), in_turn))


def steepest(gradient: Tensor, norm: Norm) -> Tensor:
    """Return the direction of unit norm in which a linear function with this gradient grows fastest (Linf or L2)."""
    if norm == "linf":
        return gradient.sign()
    if norm != "l2":
        raise ConfigError(f"Expected norm linf or l2 for steepest ascent, got {norm}.")
    largest = per_row(size(gradient, "linf").clamp_min(torch.finfo(gradient.dtype).tiny), gradient)
    scaled = gradient / largest  # squares of 1e-25 or 1e25 would leave float32
    return scaled / per_row(size(scaled, "l2").clamp_min(_TINY), gradient)


def random_point(draws: Draws, shape: tuple[int, ...], norm: Norm, eps: float) -> Tensor:
    """Return one uniform point of the ball of radius `eps` per stream; `shape` is that of one point. Not for L0."""
    _not_l0(norm, "a uniform point")
    if norm == "linf":
        return draws.uniform(shape, -eps, eps)
    if norm == "l1":  # exponential variables that are divided by their sum and one more are uniform in the simplex
        spacings = -torch.log(1 - draws.uniform(shape))
        total = spacings.flatten(1).sum(dim=1) - torch.log(1 - draws.uniform())
        return draws.signs(shape) * spacings * per_row(eps / total, spacings)
    direction = steepest(draws.normal(shape), "l2")
    dimensions = direction[0].numel()
    return direction * per_row(eps * draws.uniform() ** (1 / dimensions), direction)


def _not_l0(norm: Norm, what: str) -> None:
    if norm == "l0":
        raise ConfigError(f"Expected norm linf, l2 or l1 for {what}, got l0.")
