"""Images of any size for networks whose sides have to be multiples of a number, as those of many decoders."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

INNER = "net"
"""The name of the network inside of `Padded`, before the names of its layers."""


class Padded(nn.Module):
    """A network whose images are padded below and on the right until their sides are multiples of `stride`.

    The padding repeats the last row and column. Outputs, or those among several, that are maps of the padded size are
    cut back to the images': what a network says of the padding counts nowhere, and an attack has no pixels of its own
    there.
    """

    def __init__(self, net: nn.Module, stride: int) -> None:
        super().__init__()
        self.net, self.stride = net, stride

    def forward(self, x: Tensor) -> Any:
        padded = self.padded(x)
        return _cut(self.net(padded), padded.shape[2:], x.shape[2:])

    def padded(self, x: Tensor) -> Tensor:
        """Return images (N, C, H, W) as the network inside takes them."""
        for side in (2, 3):
            x = _lengthened(x, side, -x.shape[side] % self.stride)
        return x


def _lengthened(x: Tensor, side: int, by: int) -> Tensor:
    """Repeat the last row or column; unlike torch's padding its gradient is deterministic on a GPU, too."""
    return torch.cat([x, x.narrow(side, -1, 1).repeat_interleave(by, side)], dim=side) if by else x


def _cut(outputs: Any, padded: torch.Size, size: torch.Size) -> Any:
    if isinstance(outputs, Mapping):
        return {key: _cut(value, padded, size) for key, value in outputs.items()}
    if isinstance(outputs, tuple | list):
        return [_cut(value, padded, size) for value in outputs]
    is_map = isinstance(outputs, Tensor) and outputs.ndim > 2 and outputs.shape[-2:] == padded
    return outputs[..., : size[0], : size[1]] if is_map else outputs
