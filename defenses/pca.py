"""Projection onto principal components (Bhagoji et al. 2018, https://arxiv.org/abs/1704.02654; Liang, Hayes and Althoff
2017).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..core.defense import LearningData
from ..core.errors import ConfigError, InputError
from ..core.learned import Learned
from ..core.learned_defense import LearnedTransform
from ..core.registry import register_defense
from ..core.seeding import Draws
from ..core.straight_through import clamped
from ._shape import check_learned

_SHARE = 0.99


@register_defense("pca")
@dataclass(frozen=True, kw_only=True)
class PCA(LearnedTransform):
    """Project every image onto the principal components of the training images, clamped to [0, 1].

    All channels and pixels together form one vector. The projection keeps as many components as explain the `share` of
    the training images' variance (0.99 if neither parameter is given), or exactly `components`, which can be at most
    one less than the number of images.

    Broken by gradient attacks through it (Carlini and Wagner 2017, https://arxiv.org/abs/1705.07263).
    """

    training_images: int = 1024
    share: float | None = None
    components: int | None = None

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share is not None and self.components is not None:
            both = f"share = {self.share} and components = {self.components}"
            raise ConfigError(f"Expected a share of the variance or a number of components, got {both}.")
        if self.share is not None and not 0 < self.share <= 1:
            raise ConfigError(f"Expected a share of the variance in (0, 1], got {self.share}.")
        if self.components is not None and self.components < 1:
            raise ConfigError(f"Expected components >= 1, got {self.components}.")

    def learn(self, data: LearningData, *, rng: Draws) -> dict[str, Tensor]:
        """Return the `mean` image (C, H, W) and orthonormal `components` (K, C * H * W), by descending variance."""
        vectors = data.images.flatten(1).double()
        mean = vectors.mean(dim=0)
        variances, directions = _principal(vectors - mean)
        kept = self._kept(variances)
        return {
            "mean": mean.float().reshape(data.images.shape[1:]),
            "components": directions[:kept].float().contiguous(),
        }

    def _kept(self, variances: Tensor) -> int:
        if self.components is None:
            share = _SHARE if self.share is None else self.share
            shares = variances.cumsum(0) / variances.sum()
            return min(int((shares < share).sum()) + 1, len(variances))
        if self.components > len(variances):
            raise ConfigError(
                f"Expected at most {len(variances)} components, which is what the training images have, "
                f"got components = {self.components}."
            )
        return self.components

    def transform(self, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        mean, components = learned["mean"], learned["components"]
        check_learned(x, mean.shape)
        coordinates = (x - mean).flatten(1) @ components.T
        return clamped(mean + (coordinates @ components).reshape(x.shape))


def _principal(centred: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variances, descending, and orthonormal directions (K, pixels) of centred vectors (images, pixels).

    With fewer images than pixels, the smaller matrix of inner products is used: it has the spectrum of the covariance.
    """
    images, pixels = centred.shape
    if images > pixels:
        variances, directions = torch.linalg.eigh(centred.T @ centred)
        directions = directions.T
    else:
        variances, mixtures = torch.linalg.eigh(centred @ centred.T)
        directions = mixtures.T @ centred
    # the spectrum is ascending; tiny variances are rounding errors
    real = variances > variances[-1] * 1e-12
    if not bool(real.any()):
        raise InputError("Expected training images that differ, got the same image throughout.")
    return variances[real].flip(0), torch.nn.functional.normalize(directions[real].flip(0), dim=1)
