"""When a number should not be believed. Flags travel with the row into the leaderboard."""

import torch
from torch import Tensor

PROBABILITIES = "probabilities"
"""The model answers with probabilities, not logits: the gradient of a loss on them vanishes where it is sure."""
SINGLE_DRAW = "single-draw"
"""A randomized system was scored with one draw per image."""


def are_probabilities(outputs: Tensor) -> bool:
    """Whether class scores (N, K) have been through a softmax already."""
    if outputs.ndim != 2 or outputs.min() < 0:
        return False
    totals = outputs.sum(dim=1)
    return bool(torch.allclose(totals, torch.ones_like(totals), atol=1e-4))
