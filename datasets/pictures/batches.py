"""Stack images of one size into a batch, whether they are uint8 or float32."""

import torch
from torch import Tensor


def as_floats(images: list[Tensor]) -> Tensor:
    """Return a batch (N, C, H, W), float32 in [0, 1]."""
    batch = _stacked(images)
    return batch.float() / 255 if batch.dtype == torch.uint8 else batch


def as_levels(images: list[Tensor]) -> Tensor:
    """Return a batch (N, C, H, W), uint8."""
    batch = _stacked(images)
    return batch if batch.dtype == torch.uint8 else (batch * 255).round().to(torch.uint8)


def _stacked(images: list[Tensor]) -> Tensor:
    """Stack images as floats if any is float; of a float data set, resized images are uint8."""
    if len({image.dtype for image in images}) > 1:
        images = [image.float() / 255 if image.dtype == torch.uint8 else image for image in images]
    return torch.stack(images).contiguous()
