"""Borda counts, which merge the rankings of several voters, and differentiable surrogates of them."""

import torch
from torch import Tensor

_ROUNDING = 1e-9  # precision of divergences in float64


def borda(preferences: Tensor) -> Tensor:
    """Return the Borda points (..., n) of n candidates: n for the most preferred down to 1; ties share their mean."""
    known = (preferences / _ROUNDING).round()  # else rounding errors would break ties, differently in each batch
    ordered = known.sort(dim=-1).values
    below, at_most = (torch.searchsorted(ordered, known, right=right) for right in (False, True))
    return 0.5 * (below + at_most + 1).to(preferences)


def soft_borda(preferences: Tensor) -> Tensor:
    """Return differentiable Borda points, those expected if the candidates' preferences are normally distributed.

    The standard deviation is treated as a constant: if it were differentiated, the points of two candidates would not
    depend on how far apart they are, and there would be no gradient.
    """
    centred = preferences - preferences.mean(dim=-1, keepdim=True)
    deviation = centred.detach().square().mean(dim=-1, keepdim=True).sqrt()
    ranked = torch.special.ndtr(centred / deviation.clamp_min(torch.finfo(preferences.dtype).tiny))
    return 0.5 + preferences.shape[-1] * ranked


def log_shares(preferences: Tensor) -> Tensor:
    """Return the logarithm of each candidate's share of the sum of exp(preference)."""
    return preferences.log_softmax(dim=-1)


def divergences(prototypes: Tensor, found: Tensor) -> Tensor:
    """Return KL(prototype || found), (N, n), for n prototypes (n, C) and N distributions (N, C), all > 0."""
    return (prototypes * prototypes.log()).sum(dim=1) - found.log() @ prototypes.T
