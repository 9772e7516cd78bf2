"""Autoencoders as a defense (Liang, Hayes and Althoff 2017; Meng and Chen 2017, https://arxiv.org/abs/1705.09064)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.defense import LearningData
from ..core.errors import ConfigError
from ..core.learned import Learned
from ..core.learned_defense import LearnedTransform
from ..core.registry import register_defense
from ..core.seeding import Draws
from ..core.straight_through import clamped
from ._shape import check_learned
from ._training import convolution, train

Kind = Literal["conv", "dense"]

_SHARE: dict[Kind, float] = {"conv": 1 / 3, "dense": 1 / 24}  # size of the code, as a share of the image's values
_WIDTHS = 16, 64  # channels at half and at a quarter of the resolution
_FINEST = 4  # downsampling factor of the code along each side


@register_defense("autoencoder")
@dataclass(frozen=True, kw_only=True)
class Autoencoder(LearnedTransform):
    """Reconstruct every image with an undercomplete autoencoder trained on the training images.

    Adam minimises the mean squared error; the result is clamped to [0, 1]. There are no skip connections: everything
    passes through a code smaller than the image.

    - "conv": 3 x 3 convolutions with ReLU halve the resolution twice, to `hidden` channels at a quarter of each side
      (None: a third of the image's values in total, which is 16 channels for RGB), and sub-pixel convolutions double it
      twice. Sides that are not a multiple of 4 are padded with the last pixels. Takes images of any size.
    - "dense": a layer of `hidden` ReLU units (None: a 24th of the image's values) over all channels and pixels
      together, with the transposed encoder as decoder. Takes images of the training images' shape.

    Broken by gradient attacks through it (Carlini and Wagner 2017, https://arxiv.org/abs/1711.08478).
    """

    training_images: int = 2048
    kind: Kind = "conv"
    hidden: int | None = None
    epochs: int = 8
    batch_size: int = 16
    learning_rate: float = 5e-3

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in get_args(Kind):
            raise ConfigError(f"Expected kind to be one of {', '.join(get_args(Kind))}, got {self.kind!r}.")
        if self.hidden is not None and self.hidden < 1:
            raise ConfigError(f"Expected hidden >= 1 or none, got {self.hidden}.")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"Expected {name} >= 1, got {getattr(self, name)}.")
        if not 0 < self.learning_rate < float("inf"):
            raise ConfigError(f"Expected learning_rate > 0, got {self.learning_rate}.")

    def learn(self, data: LearningData, *, rng: Draws) -> dict[str, Tensor]:
        """Return weight and bias per layer ("conv"), or encoder weight, bias and offset image (C, H, W) ("dense")."""
        start, hidden = _conv if self.kind == "conv" else _dense, self._hidden(data.images)

        def loss(weights: Mapping[str, Tensor], rows: Tensor, rng: Draws) -> Tensor:
            return F.mse_loss(self.restored(data.images[rows], weights), data.images[rows])

        return train(
            start(data.images, hidden, rng.fork("start")),
            loss,
            len(data.images),
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            rng=rng.fork("training"),
            progress=data.progress,
        )

    def transform(self, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        shape = (learned["0.weight"].shape[1], None, None) if self.kind == "conv" else learned["offset"].shape
        check_learned(x, shape)
        return clamped(self.restored(x, learned))

    def restored(self, x: Tensor, learned: Mapping[str, Tensor]) -> Tensor:
        """Return the reconstructions of images (N, C, H, W), not clamped to [0, 1]."""
        return _through_convolutions(x, learned) if self.kind == "conv" else _through_units(x, learned)

    def _hidden(self, images: Tensor) -> int:
        whole = images.shape[1] * _FINEST**2 if self.kind == "conv" else images[0].numel()
        hidden = self.hidden or max(1, round(whole * _SHARE[self.kind]))
        if hidden >= whole:
            raise ConfigError(f"Expected hidden < {whole}, or the code is as large as the image, got {hidden}.")
        return hidden


def _through_convolutions(x: Tensor, learned: Mapping[str, Tensor]) -> Tensor:
    def convolve(z: Tensor, place: int, stride: int = 1) -> Tensor:
        return F.conv2d(z, learned[f"{place}.weight"], learned[f"{place}.bias"], stride, padding=1)

    height, width = x.shape[2:]
    filled = F.pad(x, (0, -width % _FINEST, 0, -height % _FINEST), mode="replicate")
    z = convolve(filled.contiguous(memory_format=torch.channels_last) - 0.5, 0, stride=2).relu()
    code = convolve(convolve(z, 1, stride=2).relu(), 2)
    z = F.pixel_shuffle(convolve(convolve(code, 3).relu(), 4), 2).relu()
    return F.pixel_shuffle(convolve(z, 5), 2)[:, :, :height, :width] + 0.5


def _through_units(x: Tensor, learned: Mapping[str, Tensor]) -> Tensor:
    weight, offset = learned["weight"], learned["offset"]
    scale = weight.shape[1] ** -0.5  # scales the weights, so that Adam's steps suit any image size
    code = ((x - offset).flatten(1) @ weight.T * scale + learned["bias"]).relu()
    return offset + (code * scale @ weight).reshape(x.shape)


def _conv(images: Tensor, hidden: int, rng: Draws) -> dict[str, Tensor]:
    channels, (fine, coarse) = images.shape[1], _WIDTHS
    layers = [
        (channels, fine),
        (fine, coarse),
        (coarse, hidden),
        (hidden, coarse),
        (coarse, 4 * fine),
        (fine, 4 * channels),
    ]
    start = {}
    for place, (into, out) in enumerate(layers):
        start[f"{place}.weight"] = convolution(out, into, rng.fork(place))
        start[f"{place}.bias"] = images.new_zeros(out)
    return start


def _dense(images: Tensor, hidden: int, rng: Draws) -> dict[str, Tensor]:
    """Return an encoder of orthogonalised random mixtures of the training images' deviations from their mean.

    From entirely random directions, training would take far more steps.
    """
    offset = images.mean(dim=0)
    mixtures = rng.normal((hidden, len(images)))[0] @ (images - offset).flatten(1)
    spread = mixtures.std() * 1e-3  # of the noise that completes the basis where there are fewer images than units
    directions, _ = torch.linalg.qr((mixtures + spread * rng.normal(mixtures.shape)[0]).T)
    return {
        "weight": directions.T.contiguous() * len(directions) ** 0.5,
        "bias": images.new_zeros(hidden),
        "offset": offset,
    }
