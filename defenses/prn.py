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
"""Largest batch, in images and in pixels: activations kept for the gradient take memory."""
_COMBINATIONS = 3  # combinations for each crafted perturbation
_FLOOR = 1e-4  # added to spectra before the logarithm, as values may be 0
_SVM_C = 1e-3  # regularisation on standardised features


@register_defense("prn")
@dataclass(frozen=True, kw_only=True)
class PRN(LearnedTransform):
    """Rectify, with a residual network, the images in which a detector finds a universal perturbation.

    The network precedes the defended model, which is not changed. It is trained on clean images, and the same images
    under universal perturbations (Linf, `eps` in pixel space), so that the model's predictions become those for the
    clean images. `perturbations` of them are crafted by the attack `universal-pgd`; three times as many random positive
    combinations are added. The network has `blocks` residual blocks with `width` channels and zero-padded 3 x 3
    convolutions, and is initialised to the identity.

    The detector is a linear SVM on `log |2-D DCT|` of the network's change to the image, averaged over channels. Its
    decision is piecewise constant, so the gradient is exactly that of the branch that an image takes.

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
        """Return weight and bias of each convolution, by its index, and of the detector."""
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
        """Return the network's output for images (N, C, H, W), whether or not the detector flags them."""

        def convolve(z: Tensor, place: int) -> Tensor:
            return F.conv2d(z, learned[f"{place}.weight"], learned[f"{place}.bias"], padding=1)

        z = convolve(x.contiguous(memory_format=torch.channels_last) - 0.5, 0)
        for block in range(self.blocks):
            z = z + convolve(convolve(z.relu(), 2 * block + 1).relu(), 2 * block + 2)
        return clamped(x + convolve(z.relu(), 2 * self.blocks + 1))

    def flagged(self, x: Tensor, rectified: Tensor, learned: Mapping[str, Tensor]) -> Tensor:
        """Return the images in which the detector finds a perturbation, bool (N,)."""
        return (_spectra(x, rectified) * learned["detector.weight"]).sum(dim=(1, 2)) + learned["detector.bias"] > 0

    def identity(self, channels: int, rng: Draws) -> dict[str, Tensor]:
        """Return initial weights that make the network the identity: random, but zero in the last convolution."""
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
        """Train the SVM and return its weights (H, W) and bias; clean images score below 0, perturbed ones above."""
        from sklearn.svm import LinearSVC  # imported late: it takes a second, which only training need spend

        with torch.no_grad():
            batches = torch.cat([clean, perturbed]).split(_fitting(clean))
            spectra = torch.cat([_spectra(x, self.rectified(x, network)) for x in batches]).cpu().double()
        mean, spread = spectra.mean(dim=0), spectra.std(dim=0).clamp_min(_FLOOR)
        features = ((spectra - mean) / spread).flatten(1).numpy()
        # the primal solver is deterministic, but without a seed it would advance the global generator
        svm = LinearSVC(C=_SVM_C, dual=False, random_state=0)  # pyright: ignore[reportArgumentType] (dual may be bool)
        svm.fit(features, [0] * len(clean) + [1] * len(perturbed))
        weight = torch.from_numpy(svm.coef_).reshape(mean.shape) / spread
        bias = torch.as_tensor(svm.intercept_)[0] - (weight * mean).sum()
        return {"detector.weight": weight.to(clean), "detector.bias": bias.to(clean)}


def _fitting(images: Tensor) -> int:
    """Return the batch size for images of this size."""
    height, width = images.shape[2:]
    return max(1, min(_BATCH, _PIXELS // (height * width)))


def _answers(model: Model, images: Tensor, rng: Draws) -> Tensor:
    streams, rows = rng.split(len(images)), torch.arange(len(images), device=images.device)
    return torch.cat([model.predict(images[some], rng=streams[some]) for some in rows.split(_fitting(images))])


def _perturbed(x: Tensor, pool: Tensor, rng: Draws) -> Tensor:
    """Add to each image a perturbation drawn at random from the pool."""
    return (x + pool[rng.integers(len(pool), (len(x),))[0]]).clamp(0, 1)


def _spectra(x: Tensor, rectified: Tensor) -> Tensor:
    """Return log |2-D DCT| of the channel mean of the network's change, (N, H, W), without gradient."""
    change = (x - rectified).detach().mean(dim=1)
    down, across = (_cosines(length, change) for length in change.shape[1:])
    return (down @ change @ across.T).abs().add(_FLOOR).log()


def _cosines(length: int, like: Tensor) -> Tensor:
    """Return the orthonormal DCT-II of `length` values as a matrix with one frequency per row."""
    frequency = torch.arange(length, device=like.device)
    turns = torch.outer(frequency, 2 * frequency + 1) % (4 * length)  # modulo whole turns, for float32 precision
    basis = torch.cos(turns.to(like.dtype) * (math.pi / (2 * length))) * math.sqrt(2 / length)
    basis[0] /= math.sqrt(2)
    return basis
