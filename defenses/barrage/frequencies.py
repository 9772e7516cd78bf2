"""What compression and the Fourier transform take away."""

import torch
from torch import Tensor

from ...core.seeding import Draws
from ...core.straight_through import clamped, with_gradient_of
from ..jpeg import JPEG
from .luck import between


def compressed(x: Tensor, luck: Draws) -> Tensor:
    """As a JPEG of quality 55 to 95; images of other than one or three channels stay."""
    quality = int(between(luck, 55, 96))
    if x.shape[1] not in (1, 3):
        return x
    return with_gradient_of(x, JPEG(quality=quality).transform(x, rng=luck))


def filtered(x: Tensor, luck: Draws) -> Tensor:
    """Fourier coefficients times 0.98 to 1.02 each; without those beyond a frequency, up to all there are."""
    height, width = x.shape[2:]
    keep = between(luck, 0, 0.95)  # in cycles a pixel, of which there are 0.5 at most
    spectrum = torch.fft.rfft2(x)
    factors = luck.uniform(spectrum.shape[1:], 0.98, 1.02)
    down, across = torch.fft.fftfreq(height, device=x.device).abs(), torch.fft.rfftfreq(width, device=x.device)
    kept = (down[:, None] <= max(keep, 1 / height)) & (across <= max(keep, 1 / width))
    return clamped(torch.fft.irfft2(spectrum * factors * kept, s=(height, width)))
