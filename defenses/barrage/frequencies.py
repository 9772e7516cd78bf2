"""Transforms in the frequency domain: JPEG compression and Fourier filters."""

import torch
from torch import Tensor

from ...core.seeding import Draws
from ...core.straight_through import clamped, with_gradient_of
from ..jpeg import JPEG
from .luck import between


def compressed(x: Tensor, luck: Draws) -> Tensor:
    """Compress as JPEG of quality 55 to 95, with the identity as gradient; other than 1 or 3 channels stay."""
    quality = int(between(luck, 55, 96))
    if x.shape[1] not in (1, 3):
        return x
    return with_gradient_of(x, JPEG(quality=quality).transform(x, rng=luck))


def filtered(x: Tensor, luck: Draws) -> Tensor:
    """Multiply each Fourier coefficient by 0.98 to 1.02, and drop those above a random cutoff frequency."""
    height, width = x.shape[2:]
    keep = between(luck, 0, 0.95)  # cycles per pixel; the highest frequency is 0.5, so larger values keep all
    spectrum = torch.fft.rfft2(x)
    factors = luck.uniform(spectrum.shape[1:], 0.98, 1.02)
    down, across = torch.fft.fftfreq(height, device=x.device).abs(), torch.fft.rfftfreq(width, device=x.device)
    kept = (down[:, None] <= max(keep, 1 / height)) & (across <= max(keep, 1 / width))
    return clamped(torch.fft.irfft2(spectrum * factors * kept, s=(height, width)))
