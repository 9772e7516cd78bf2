"""JPEG compression as a defense (Guo et al. 2018, https://arxiv.org/abs/1711.00117; GD-UAP, Table 10)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from ..core.defense import InputTransform
from ..core.errors import ConfigError, InputError
from ..core.registry import register_defense
from ..core.seeding import Draws
from ._differentiable_jpeg import differentiable_jpeg

_LEAK = 0.1  # slope of the leaky surrogate of rounding at whole numbers, where that of the cubic is 0


@register_defense("jpeg")
@dataclass(frozen=True, kw_only=True)
class JPEG(InputTransform):
    """Encode every image as a baseline JPEG file of `quality` 1..100 (4:2:0 chroma), and decode it with a real codec.

    The surrogates are differentiable JPEGs: "cubic" replaces rounding by a cubic, and "leaky" has a slope at whole
    numbers as well. Takes images of one (grey) or three channels (RGB); raises InputError for others.

    Broken by PGD through a differentiable JPEG (Shin and Song 2017) or the identity (Athalye, Carlini and Wagner 2018,
    https://arxiv.org/abs/1802.00420).
    """

    quality: int = 75

    differentiable: ClassVar[bool] = False
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ConfigError(f"Expected a JPEG quality in 1..100, got {self.quality}.")

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        self._check(x)
        pixels = (x.detach() * 255).round().to(torch.uint8).flip(1)  # OpenCV's channel order
        images = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        decoded = np.stack([self._round_trip(image) for image in images])
        return torch.from_numpy(decoded).to(x.device).permute(0, 3, 1, 2).flip(1).float() / 255

    def surrogate(self, x: Tensor, *, rng: Draws) -> Tensor:
        self._check(x)
        return differentiable_jpeg(x, self.quality)

    @property
    def surrogates(self) -> Mapping[str, Callable[..., Tensor]]:
        return {"cubic": self.surrogate, "leaky": self._leaky}

    def _leaky(self, x: Tensor, *, rng: Draws) -> Tensor:
        self._check(x)
        return differentiable_jpeg(x, self.quality, leak=_LEAK)

    def _check(self, x: Tensor) -> None:
        if x.shape[1] not in (1, 3):
            raise InputError(f"JPEG stores images of 1 or 3 channels, got {x.shape[1]}.")

    def _round_trip(self, image: np.ndarray) -> np.ndarray:
        flags = cv2.IMREAD_GRAYSCALE if image.shape[2] == 1 else cv2.IMREAD_COLOR
        _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return np.asarray(cv2.imdecode(encoded, flags)).reshape(image.shape)
