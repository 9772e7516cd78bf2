"""Minimum-error seams between overlapping patches (Efros and Freeman 2001).

https://doi.org/10.1145/383259.383296
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def beyond_seam(error: Tensor, width: Tensor) -> Tensor:
    """Return a mask (..., p, p) of the pixels on or right of the vertical seam with the least total error.

    The seam runs through the first `width` (...) columns of `error` (..., p, p) and moves by at most one column from
    row to row. A patch without overlap lies entirely beyond the seam.
    """
    columns = torch.arange(error.shape[-1], device=error.device)
    cost = error.masked_fill(columns >= width.clamp(min=1)[..., None, None], torch.inf).flatten(0, -3)
    totals = [cost[:, 0]]
    for line in cost[:, 1:].unbind(1):
        totals.append(line - F.max_pool1d(-totals[-1], 3, stride=1, padding=1))
    path = [totals[-1].argmin(dim=1, keepdim=True)]
    for total in reversed(totals[:-1]):
        out_of_reach = (columns - path[-1]).abs() > 1
        path.append(total.masked_fill(out_of_reach, torch.inf).argmin(dim=1, keepdim=True))
    return (columns >= torch.stack(path[::-1], dim=1)).reshape(error.shape)
