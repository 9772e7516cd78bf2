"""Record the sums of the positive and of the negative outputs of each channel of a network's layers."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..core.rewiring import rewired


@contextmanager
def channel_sums(net: nn.Module, layers: Iterable[nn.Module]) -> Iterator[list[Tensor]]:
    """Context manager that yields a list, filled with (M, 2, C) for each layer in the order in which they are used.

    The two rows are the sum over space, or tokens, of a channel's positive outputs, and minus that of its negative
    ones.
    """
    layers, found = list(layers), []
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    others = [layer for layer in layers if not isinstance(layer, nn.Linear)]
    with rewired(net, linear, _keeping(found, channels_at=-1)), rewired(net, others, _keeping(found, channels_at=1)):
        yield found


def _keeping(found: list[Tensor], channels_at: int) -> Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]:
    def compute(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        output = forward(x)
        values = output.movedim(channels_at, 1).flatten(2) if output.ndim > 2 else output[:, :, None]
        positive = values.clamp_min(0).sum(dim=2, dtype=torch.float32)
        found.append(torch.stack([positive, (positive - values.sum(dim=2, dtype=torch.float32)).clamp_min(0)], dim=1))
        return output

    return compute
