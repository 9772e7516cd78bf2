"""Colours for maps: one for each class, and a ramp for numbers. All are uint8 (..., 3), red, green, blue."""

import torch
from torch import Tensor

VOID_GREY = 200
_RAMP = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""From dark to bright, as viridis: brightness alone tells the order, also to who does not tell red from green."""


def class_colours(count: int) -> Tensor:
    """Those of Pascal VOC, (count, 3), as its own maps are shown: the bits of a class, spread over the three channels
    from the highest bit on.
    """
    colours = torch.zeros(count, 3, dtype=torch.int64)
    for bit in range(8):
        for channel in range(3):
            set_there = torch.arange(count) >> (3 * bit + channel) & 1
            colours[:, channel] |= set_there << (7 - bit)
    return colours.to(torch.uint8)


def ramp(shares: Tensor) -> Tensor:
    """From dark, 0, to bright, 1; shares beyond are those ends."""
    anchors = torch.tensor(_RAMP, dtype=torch.float32, device=shares.device)
    place = shares.clamp(0, 1) * (len(anchors) - 1)
    below = place.long().clamp_max(len(anchors) - 2)
    part = (place - below)[..., None]
    return torch.lerp(anchors[below], anchors[below + 1], part).round().to(torch.uint8)


def as_hex(colour: Tensor) -> str:
    """As a page writes a colour (3,)."""
    return "#" + "".join(f"{int(level):02x}" for level in colour)
