"""Move perturbations between networks that crop the same pictures differently: each keeps its place in the picture."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ....core.dataset import Dataset
from ....datasets.pictures import Pictures
from ..memory.one_at_a_time import itself
from .resizing import resized


def placed(change: Tensor, samples: Sequence[int], source: Dataset, model: Dataset) -> Tensor:
    """Return perturbations of the images of `source`, (N, C, H, W), moved and resized to fit those of `model`.

    They are 0 in the parts of a picture that only `model` shows. Of data sets that are not pictures, whose crops are
    unknown, perturbations are only resized.
    """
    size = model.shape[1:]
    source, model = itself(source), itself(model)
    if not (isinstance(source, Pictures) and isinstance(model, Pictures)):
        return resized(change, size)
    ratios = model.windows(samples) / source.windows(samples)  # (N, 2): relative height and width
    if torch.allclose(ratios, torch.ones_like(ratios)):
        return resized(change, size)
    return torch.cat([_seen(one[None], ratio, size) for one, ratio in zip(change, ratios, strict=True)])


def _seen(change: Tensor, ratio: Tensor, size: Sequence[int]) -> Tensor:
    """Return the middle of a perturbation, `ratio` (2,) of its height and width, as (1, C, *size); 0 outside it."""
    fine = [round(side / part) for side, part in zip(size, ratio.tolist(), strict=True)]  # at the scale of `size`
    smaller = [max(1, min(mine, its)) for mine, its in zip(change.shape[2:], fine, strict=True)]
    down, across = ratio.tolist()
    affine = torch.tensor([[[across, 0, 0], [0, down, 0]]], dtype=change.dtype, device=change.device)
    grid = F.affine_grid(affine, [1, change.shape[1], *size], align_corners=False)
    return F.grid_sample(resized(change, smaller), grid, align_corners=False)
