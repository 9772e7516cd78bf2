"""Between networks that show more or less of the same pictures: what is added to a picture stays where it is there."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ....core.dataset import Dataset
from ....datasets.pictures import Pictures
from ..memory.one_at_a_time import itself
from .resizing import resized


def placed(change: Tensor, samples: Sequence[int], source: Dataset, model: Dataset) -> Tensor:
    """What is added to the images of `source`, (N, C, H, W), as it lies in those of `model`, in their size.

    Nothing is added to what only these show.
    """
    size = model.shape[1:]
    source, model = itself(source), itself(model)
    if not (isinstance(source, Pictures) and isinstance(model, Pictures)):
        return resized(change, size)
    ratios = model.windows(samples) / source.windows(samples)  # (N, 2), of what both show of a picture
    if torch.allclose(ratios, torch.ones_like(ratios)):
        return resized(change, size)
    return torch.cat([_seen(one[None], ratio, size) for one, ratio in zip(change, ratios, strict=True)])


def _seen(change: Tensor, ratio: Tensor, size: Sequence[int]) -> Tensor:
    """(1, C, *size): the middle of a change, `ratio` (2,) of its height and width; 0 beyond its edges."""
    fine = [round(side / part) for side, part in zip(size, ratio.tolist(), strict=True)]  # as fine as it will be
    smaller = [max(1, min(mine, its)) for mine, its in zip(change.shape[2:], fine, strict=True)]
    down, across = ratio.tolist()
    affine = torch.tensor([[[across, 0, 0], [0, down, 0]]], dtype=change.dtype, device=change.device)
    grid = F.affine_grid(affine, [1, change.shape[1], *size], align_corners=False)
    return F.grid_sample(resized(change, smaller), grid, align_corners=False)
