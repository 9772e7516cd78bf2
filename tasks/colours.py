"""Colours for drawing maps: one per class, and a colour ramp for numbers, all as uint8 RGB (..., 3)."""

import torch
from torch import Tensor

VOID_GREY = 200
_RAMP = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Anchors from dark to bright, as in viridis: brightness alone gives the order, also in red-green colour blindness."""


def class_colours(count: int) -> Tensor:
    """Return the first `count` colours of the Pascal VOC palette, (count, 3).

    The bits of the class index are spread over the three channels, from the highest bit of each channel on.
    """
    colours = torch.zeros(count, 3, dtype=torch.int64)
    for bit in range(8):
        for channel in range(3):
            set_there = torch.arange(count) >> (3 * bit + channel) & 1
            colours[:, channel] |= set_there << (7 - bit)
    return colours.to(torch.uint8)


def ramp(shares: Tensor) -> Tensor:
    """Map numbers to colours from dark, 0, to bright, 1; numbers outside [0, 1] are clamped."""
    anchors = torch.tensor(_RAMP, dtype=torch.float32, device=shares.device)
    place = shares.clamp(0, 1) * (len(anchors) - 1)
    below = place.long().clamp_max(len(anchors) - 2)
    part = (place - below)[..., None]
    return torch.lerp(anchors[below], anchors[below + 1], part).round().to(torch.uint8)


def as_hex(colour: Tensor) -> str:
    """Format a colour (3,) as `#rrggbb`."""
    return "#" + "".join(f"{int(level):02x}" for level in colour)
