"""PRN: the perturbation rectifying network (Akhtar, Liu and Mian 2018, https://arxiv.org/abs/1711.05929).

Smaller than the paper's (five blocks of 64 channels, 50 perturbations), so that it learns in minutes without a GPU.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.defense import LearningData
from ..core.errors import ConfigError
from ..core.learned import Learned
from ..core.learned_defense import LearnedTransform
from ..core.model import Model
from ..core.registry import register_defense
from ..core.seeding import Draws
from ..core.straight_through import clamped
from ._shape import check_learned
from ._training import convolution, train
from ._universal import combined, crafted, crafting_steps

_BATCH, _PIXELS = 32, 32 * 128 * 128
"""Images at a time at most, and so many of their pixels: what a gradient needs takes memory."""
_COMBINATIONS = 3  # for each perturbation
_FLOOR = 1e-4  # added to the spectrum, whose values may be 0
_SVM_C = 1e-3  # on standardised features


@register_defense("prn")
@dataclass(frozen=True, kw_only=True)
class PRN(LearnedTransform):
    """Rectify the images in which a detector sees a universal perturbation with a residual network, and no others.

    The network stands before the model to be defended, which stays as it is. From clean images, and the same under
    universal perturbations (Linf, `eps` in pixel space), it learns to make the model answer as to the clean ones.
    `perturbations` are crafted by the attack `universal-pgd`, and joined by three times as many random positive
    combinations of them. The network has `blocks` residual blocks of `width` channels and 3 x 3 windows (zeros lie
    beyond the borders), and starts as the identity.

    The detector is a linear SVM on `log |2-D DCT|` of what the network changes, averaged over the channels. Its choice
    is piecewise constant, so the gradient is exactly that of the branch an image takes.

    Broken by PGD through it, one image at a time; nothing published is known.
    """

    training_images: int = 1024
    eps: float = 10 / 255
    perturbations: int = 8
    epochs: int = 5
    width: int = 16
    blocks: int = 2
    learning_rate: float = 3e-3

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False
    needs_model: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.eps <= 1:
            raise ConfigError(f"Expected eps in (0, 1], got {self.eps}.")
        for name in ("perturbations", "epochs", "width", "blocks"):
            if getattr(self, name) < 1:
                raise ConfigError(f"Expected {name} >= 1, got {getattr(self, name)}.")
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"Expected learning_rate > 0, got {self.learning_rate}.")

    def learn(self, data: LearningData, *, rng: Draws) -> dict[str, Tensor]:
        """The weights and biases of the convolutions, by their place, and of the detector."""
        images, batch_size = data.images, _fitting(data.images)
        labels = _answers(data.model, images, rng.fork("labels"))
        crafting = crafting_steps(len(images), self.perturbations, batch_size)
        total = crafting + self.epochs * math.ceil(len(images) / batch_size)
        real = crafted(
            data.model,
            images,
            count=self.perturbations,
            eps=self.eps,
            batch_size=batch_size,
            rng=rng.fork("perturbations"),
            progress=lambda done: data.progress(done, total),
        )
        synthetic = combined(real, _COMBINATIONS * len(real), eps=self.eps, rng=rng.fork("combinations"))
        pool = torch.cat([real, synthetic])
        network = train(
            self.identity(images.shape[1], rng.fork("start")),
            self._loss(data.model, images, labels, pool),
            len(images),
            epochs=self.epochs,
            batch_size=batch_size,
            learning_rate=self.learning_rate,
            rng=rng.fork("training"),
            progress=lambda done, _: data.progress(crafting + done, total),
        )
        return network | self._detector(network, images, _perturbed(images, pool, rng.fork("detector")))

    def transform(self, x: Tensor, learned: Learned, *, rng: Draws) -> Tensor:
        check_learned(x, (learned["0.weight"].shape[1], *learned["detector.weight"].shape))
        rectified = self.rectified(x, learned)
        return torch.where(self.flagged(x, rectified, learned)[:, None, None, None], rectified, x)

    def rectified(self, x: Tensor, learned: Mapping[str, Tensor]) -> Tensor:
        """What the network makes of images, whatever the detector says."""

        def convolve(z: Tensor, place: int) -> Tensor:
            return F.conv2d(z, learned[f"{place}.weight"], learned[f"{place}.bias"], padding=1)

        z = convolve(x.contiguous(memory_format=torch.channels_last) - 0.5, 0)
        for block in range(self.blocks):
            z = z + convolve(convolve(z.relu(), 2 * block + 1).relu(), 2 * block + 2)
        return clamped(x + convolve(z.relu(), 2 * self.blocks + 1))

    def flagged(self, x: Tensor, rectified: Tensor, learned: Mapping[str, Tensor]) -> Tensor:
        """In which images the detector sees a perturbation, bool (N,)."""
        return (_spectra(x, rectified) * learned["detector.weight"]).sum(dim=(1, 2)) + learned["detector.bias"] > 0

    def identity(self, channels: int, rng: Draws) -> dict[str, Tensor]:
        """The network at the start: a last convolution of zeros behind random ones."""
        sizes = [channels, *[self.width] * (2 * self.blocks + 1), channels]
        weights = {}
        for place, (into, out) in enumerate(pairwise(sizes)):
            weights[f"{place}.weight"] = convolution(out, into, rng.fork(place))
            weights[f"{place}.bias"] = weights[f"{place}.weight"].new_zeros(out)
        weights[f"{2 * self.blocks + 1}.weight"].zero_()
        return weights

    def _loss(
        self, model: Model, images: Tensor, labels: Tensor, pool: Tensor
    ) -> Callable[[Mapping[str, Tensor], Tensor, Draws], Tensor]:
        def loss(weights: Mapping[str, Tensor], rows: Tensor, rng: Draws) -> Tensor:
            x, y = images[rows], labels[rows]
            rectified = self.rectified(torch.cat([x, _perturbed(x, pool, rng)]), weights)
            outputs = model.logits(rectified, rng=rng.fork("model").split(len(rectified)))
            return model.task.loss(outputs, torch.cat([y, y])).mean()

        return loss

    def _detector(self, network: Mapping[str, Tensor], clean: Tensor, perturbed: Tensor) -> dict[str, Tensor]:
        """Weights (H, W) and bias of the plane between clean images (below 0) and perturbed ones (above)."""
        from sklearn.svm import LinearSVC  # here: importing it takes a second, which only those who train it need spend

        with torch.no_grad():
            batches = torch.cat([clean, perturbed]).split(_fitting(clean))
            spectra = torch.cat([_spectra(x, self.rectified(x, network)) for x in batches]).cpu().double()
        mean, spread = spectra.mean(dim=0), spectra.std(dim=0).clamp_min(_FLOOR)
        features = ((spectra - mean) / spread).flatten(1).numpy()
        # the primal solver draws nothing, but without a seed the global generator would be moved on
        svm = LinearSVC(C=_SVM_C, dual=False, random_state=0)  # pyright: ignore[reportArgumentType] (dual may be bool)
        svm.fit(features, [0] * len(clean) + [1] * len(perturbed))
        weight = torch.from_numpy(svm.coef_).reshape(mean.shape) / spread
        bias = torch.as_tensor(svm.intercept_)[0] - (weight * mean).sum()
        return {"detector.weight": weight.to(clean), "detector.bias": bias.to(clean)}


def _fitting(images: Tensor) -> int:
    """How many are taken at a time."""
    height, width = images.shape[2:]
    return max(1, min(_BATCH, _PIXELS // (height * width)))


def _answers(model: Model, images: Tensor, rng: Draws) -> Tensor:
    streams, rows = rng.split(len(images)), torch.arange(len(images), device=images.device)
    return torch.cat([model.predict(images[some], rng=streams[some]) for some in rows.split(_fitting(images))])


def _perturbed(x: Tensor, pool: Tensor, rng: Draws) -> Tensor:
    """Each image under one of the pool's perturbations, drawn anew."""
    return (x + pool[rng.integers(len(pool), (len(x),))[0]]).clamp(0, 1)


def _spectra(x: Tensor, rectified: Tensor) -> Tensor:
    """log |2-D DCT| of the grey difference, (N, H, W), without gradient."""
    change = (x - rectified).detach().mean(dim=1)
    down, across = (_cosines(length, change) for length in change.shape[1:])
    return (down @ change @ across.T).abs().add(_FLOOR).log()


def _cosines(length: int, like: Tensor) -> Tensor:
    """The orthonormal discrete cosine transform (DCT-II) of so many values, a frequency in each row."""
    frequency = torch.arange(length, device=like.device)
    turns = torch.outer(frequency, 2 * frequency + 1) % (4 * length)  # whole turns off, as float32 would round them
    basis = torch.cos(turns.to(like.dtype) * (math.pi / (2 * length))) * math.sqrt(2 / length)
    basis[0] /= math.sqrt(2)
    return basis
