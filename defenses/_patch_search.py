"""The nearest patches of a bank: a shortlist by principal components, of which the nearest by all values are taken.

Patches enter the shortlist in groups, by their nearest member: none that is nearest within the components is missed.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

_AXES = 24  # principal components that shortlist patches: 98% of the variance of 5x5 colour patches
_GROUP = 16  # patches that enter or miss the shortlist together
_SPARE = 4  # groups on the shortlist beyond the neighbours wanted
_QUERIES = 512  # at a time: enough work for several cores, few enough for their caches
_GROUPS = 784  # at a time on a CPU: distances between so many and the queries stay in its cache


def indexed(patches: Tensor) -> dict[str, Tensor]:
    """A bank of `patches` (M, ...) with what a search needs of it, once and for all.

    `mean` (D,) and `axes` (D, A) are those of the principal components of its D values. `slices` (members, A + 1,
    groups), times a query's coordinates and a 1, are squared distances less what is the same for the whole bank.
    """
    bank = patches.flatten(1)
    mean = bank.mean(dim=0)
    sample = bank[:: 1 + len(bank) // 10_000] - mean
    axes = torch.linalg.eigh(sample.T @ sample).eigenvectors[:, -_AXES:].contiguous()
    codes = (bank - mean) @ axes
    codes = torch.cat([-2 * codes, codes.square().sum(dim=1, keepdim=True)], dim=1)
    groups = F.pad(codes, (0, 0, 0, -len(bank) % _GROUP))
    groups[len(bank) :, -1] = torch.inf
    slices = groups.T.unflatten(1, (_GROUP, -1)).movedim(1, 0).contiguous()
    return {"patches": patches, "mean": mean, "axes": axes, "slices": slices}


def nearest(queries: Tensor, index: Mapping[str, Tensor], count: int) -> Tensor:
    """Rows (Q, count) of the indexed bank that are nearest to each of the queries (Q, D), in no order."""
    # every product has the same shape, so that rounding does not depend on how many images are searched for
    whole = F.pad(queries, (0, 0, 0, -len(queries) % _QUERIES))
    return torch.cat([_nearest(some, index, count) for some in whole.split(_QUERIES)])[: len(queries)]


def _nearest(queries: Tensor, index: Mapping[str, Tensor], count: int) -> Tensor:
    bank = index["patches"].flatten(1)
    candidates = _shortlist(queries, index, count + _SPARE)
    found = F.embedding(candidates.clamp(max=len(bank) - 1), bank)  # faster than indexing
    # not as the difference of large numbers: patches that are nearly equal must be told apart
    distances = torch.cdist(queries[:, None], found, compute_mode="donot_use_mm_for_euclid_dist")[:, 0]
    distances = distances.masked_fill(candidates >= len(bank), torch.inf)
    return candidates.gather(1, distances.topk(count, dim=1, largest=False, sorted=False).indices)


def _shortlist(queries: Tensor, index: Mapping[str, Tensor], listed: int) -> Tensor:
    """The members of so many groups, (Q, L); a row that the bank lacks fills up a group."""
    slices = index["slices"]
    groups = slices.shape[2]
    code = F.pad((queries - index["mean"]) @ index["axes"], (0, 1), value=1.0)
    tiles = slices.split(_GROUPS if slices.device.type == "cpu" else groups, dim=2)
    least = torch.cat([_least(code, tile) for tile in tiles], dim=1)
    nearest = least.topk(min(listed, groups), dim=1, largest=False, sorted=False).indices
    return (nearest[:, :, None] + torch.arange(_GROUP, device=slices.device) * groups).flatten(1)


def _least(code: Tensor, members: Tensor) -> Tensor:
    """The least product with a member of each group: (Q, A) by (members, A, groups) to (Q, groups)."""
    least = code @ members[0]
    product = torch.empty_like(least)
    for member in members[1:]:
        torch.minimum(least, torch.mm(code, member, out=product), out=least)
    return least
