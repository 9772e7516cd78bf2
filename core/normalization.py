"""The normalisation that a network expects: (x - mean) / std per channel, of images in [0, 1]."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .errors import ConfigError

Channels = float | Sequence[float] | Tensor | None
"""One number for all channels or one per channel, in any shape; None for no change."""

LARGEST = 2.0
"""An upper bound of mean and std for images in [0, 1]; those for images in 0..255, or of 16 levels, are larger."""


class Normalization(nn.Module):
    """The normalisation (x - mean) / std per channel.

    Raises ConfigError unless there is one finite number per channel or one for all, and if they are for images in
    0..255.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Channels, std: Channels, channels: int | None) -> None:
        super().__init__()
        self.register_buffer("mean", _per_channel("mean", 0.0 if mean is None else mean, channels))
        self.register_buffer("std", _per_channel("std", 1.0 if std is None else std, channels))
        if not bool((self.std > 0).all()):
            raise ConfigError(f"Expected every std > 0, got {self.std.flatten().tolist()}.")
        if float(self.mean.abs().max()) > LARGEST or float(self.std.max()) > LARGEST:
            raise ConfigError(
                f"Expected mean and std of images in [0, 1], got mean={_shown(self.mean)}, std={_shown(self.std)}; "
                f"if those are for 0..255 give value / 255: mean={_shown(self.mean / 255)}, "
                f"std={_shown(self.std / 255)}."
            )

    @property
    def channels(self) -> int | None:
        """The number of channels; None if one number stands for any."""
        return max(self.mean.numel(), self.std.numel()) if max(self.mean.numel(), self.std.numel()) > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std

    def _get_name(self) -> str:
        return "_Normalization"  # the name in the hashes of published tables

    def extra_repr(self) -> str:
        return f"{self.mean.flatten().tolist()}, {self.std.flatten().tolist()}"


def _per_channel(what: str, values: float | Sequence[float] | Tensor, channels: int | None) -> Tensor:
    try:
        given = torch.as_tensor(values, dtype=torch.float32).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(f"Expected {what} as one number for each channel, got {values!r}.") from None
    if given.numel() == 0 or given.numel() != max(given.shape, default=1):
        raise ConfigError(f"Expected {what} as one number for each channel, got shape {tuple(given.shape)}.")
    if channels is not None and given.numel() not in (1, channels):
        raise ConfigError(f"Expected {what} with 1 or {channels} values, got {given.numel()}.")
    if not bool(torch.isfinite(given).all()):
        raise ConfigError(f"Expected finite {what}, got {given.flatten().tolist()}.")
    return given.reshape(1, -1, 1, 1).clone()


def _shown(values: Tensor) -> str:
    return f"({', '.join(f'{value:.4g}' for value in values.flatten().tolist())})"
