"""Rankings by several voters, and the Borda count that makes one of them."""

import torch
from torch import Tensor

_ROUNDING = 1e-9  # of divergences in double precision


def borda(preferences: Tensor) -> Tensor:
    """Points (..., n) of n candidates: n for the most preferred, down to 1; equals share what is theirs together."""
    known = (preferences / _ROUNDING).round()  # else rounding would rank equals, and otherwise in another batch
    ordered = known.sort(dim=-1).values
    below, at_most = (torch.searchsorted(ordered, known, right=right) for right in (False, True))
    return 0.5 * (below + at_most + 1).to(preferences)


def soft_borda(preferences: Tensor) -> Tensor:
    """The points, as far as preferences are normally distributed over the candidates; differentiable.

    The deviation is taken as a constant: with it, the points of two candidates would not depend on how far apart they
    are, and no gradient would be left.
    """
    centred = preferences - preferences.mean(dim=-1, keepdim=True)
    deviation = centred.detach().square().mean(dim=-1, keepdim=True).sqrt()
    ranked = torch.special.ndtr(centred / deviation.clamp_min(torch.finfo(preferences.dtype).tiny))
    return 0.5 + preferences.shape[-1] * ranked


def log_shares(preferences: Tensor) -> Tensor:
    """Of the sum of the candidates' exp(preference), the logarithm."""
    return preferences.log_softmax(dim=-1)


def divergences(prototypes: Tensor, found: Tensor) -> Tensor:
    """KL (N, n) of each of n prototypes (n, C) from what was found (N, C), all probabilities > 0."""
    return (prototypes * prototypes.log()).sum(dim=1) - found.log() @ prototypes.T
