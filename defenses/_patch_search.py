"""Nearest-neighbour search in a bank of patches: a shortlist by principal components, re-ranked by all values.

Patches enter the shortlist in groups, ranked by each group's nearest member: the patches that are nearest within the
principal components are never missed.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

_AXES = 24  # principal components of the shortlist: 98% of the variance of 5x5 colour patches
_GROUP = 16  # patches that enter or miss the shortlist together
_SPARE = 4  # groups on the shortlist beyond one per wanted neighbour
_QUERIES = 512  # queries at a time: enough work for several cores, few enough for their caches
_GROUPS = 784  # groups at a time on a CPU, so that their distances to the queries stay in its cache


def indexed(patches: Tensor) -> dict[str, Tensor]:
    """Build the search index of a bank of `patches` (M, ...) with D values each.

    `mean` (D,) and `axes` (D, A) define the principal components. `slices` (members, A + 1, groups), multiplied by the
    query's coordinates and a 1, give squared distances minus a term of the query alone.
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
    """Return the `count` rows (Q, count) of the indexed bank nearest to each query (Q, D), in ascending order.

    By distance, the order of nearly equal patches would depend on rounding, and with it which of them a draw selects.
    """
    # padded so that every product has the same shape: rounding must not depend on the number of images
    whole = F.pad(queries, (0, 0, 0, -len(queries) % _QUERIES))
    found = torch.empty(len(whole), count, dtype=torch.int64, device=whole.device)
    for some, rows in zip(whole.split(_QUERIES), found.split(_QUERIES), strict=True):
        rows.copy_(_nearest(some, index, count))  # results that stay would lie between what is freed, and pin the heap
    return found[: len(queries)]


def _nearest(queries: Tensor, index: Mapping[str, Tensor], count: int) -> Tensor:
    bank = index["patches"].flatten(1)
    candidates = _shortlist(queries, index, count + _SPARE)
    found = F.embedding(candidates.clamp(max=len(bank) - 1), bank)  # faster than indexing
    # without matrix products, which cancel: nearly equal patches must be told apart
    distances = torch.cdist(queries[:, None], found, compute_mode="donot_use_mm_for_euclid_dist")[:, 0]
    distances = distances.masked_fill(candidates >= len(bank), torch.inf)
    found = candidates.gather(1, distances.topk(count, dim=1, largest=False, sorted=False).indices)
    return found.sort(dim=1).values


def _shortlist(queries: Tensor, index: Mapping[str, Tensor], listed: int) -> Tensor:
    """Return the rows (Q, L) in the `listed` nearest groups; rows >= the size of the bank are padding."""
    slices = index["slices"]
    groups = slices.shape[2]
    code = F.pad((queries - index["mean"]) @ index["axes"], (0, 1), value=1.0)
    tiles = slices.split(_GROUPS if slices.device.type == "cpu" else groups, dim=2)
    least = torch.cat([_least(code, tile) for tile in tiles], dim=1)
    nearest = least.topk(min(listed, groups), dim=1, largest=False, sorted=False).indices
    return (nearest[:, :, None] + torch.arange(_GROUP, device=slices.device) * groups).flatten(1)


def _least(code: Tensor, members: Tensor) -> Tensor:
    """Return the least product with any member of each group: (Q, A) by (members, A, groups) to (Q, groups)."""
    least = code @ members[0]
    product = torch.empty_like(least)
    for member in members[1:]:
        torch.minimum(least, torch.mm(code, member, out=product), out=least)
    return least
