"""TV minimisation against loops over images: scikit-image's split Bregman and, where installed, ART's method."""

import numpy as np
import pytest
import torch
from foolbench.core import Draws
from foolbench.datasets import Scenes
from foolbench.defenses import TotalVariation
from skimage.restoration import denoise_tv_bregman
from torch.nn import functional as F

SIZES = pytest.mark.parametrize(("count", "side"), [(64, 64), (8, 224)])


def images(count: int, side: int) -> torch.Tensor:
    return F.interpolate(Scenes().load(range(count))[0], (side, side), mode="bicubic", antialias=True).clamp(0, 1)


def energy(z: torch.Tensor, x: torch.Tensor, weight: float, kept: torch.Tensor | float = 1.0) -> float:
    right, down = torch.zeros_like(z), torch.zeros_like(z)
    right[..., :-1], down[..., :-1, :] = z.diff(dim=-1), z.diff(dim=-2)
    return float((kept * (z - x).square()).sum() / 2 + weight * torch.hypot(right, down).sum())


@SIZES
def test_denoising_against_scikit_images_loop(ratio, count, side):
    x = images(count, side)
    pixels = x.permute(0, 2, 3, 1).numpy()
    ours = TotalVariation(drop=0, iterations=6)  # enough for an energy below theirs

    def theirs():
        return np.stack([denoise_tv_bregman(image, weight=1 / ours.weight, channel_axis=-1) for image in pixels])

    peer = torch.from_numpy(theirs()).permute(0, 3, 1, 2)
    assert energy(ours(x), x, ours.weight) <= energy(peer, x, ours.weight)
    ratio(lambda: ours(x), theirs, limit=0.5, rounds=5)


@SIZES
def test_restoring_against_arts_loop(ratio, count, side):
    # ART minimises another energy (the fidelity is not squared, variation is by whole lines), by 10 iterations of
    # L-BFGS. By ours, each with its own half of the pixels, one of our iterations is enough; these three come within
    # a fifth of the minimum
    art = pytest.importorskip("art.defences.preprocessor")
    x, ours, theirs = images(count, side), TotalVariation(iterations=3), art.TotalVarMin(prob=0.5, clip_values=(0, 1))
    pixels = x.permute(0, 2, 3, 1).numpy()
    np.random.seed(0)  # noqa: NPY002 (ART draws from here: the same numbers again)
    kept = torch.from_numpy(np.stack([np.random.rand(*image.shape) < 0.5 for image in pixels]))  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    peer = torch.from_numpy(theirs(pixels)[0]).permute(0, 3, 1, 2)
    streams = Draws.of(0, samples=range(count))
    found = energy(ours(x, rng=streams[:]), x, ours.weight, ours._kept(x, streams[:]))
    assert found <= energy(peer, x, ours.weight, kept.permute(0, 3, 1, 2))
    ratio(lambda: ours(x), lambda: theirs(pixels), limit=0.05, rounds=3)


@SIZES
def test_the_gradient_against_the_transform(ratio, count, side):
    # the iterations, the iterations again, and the way back
    x = images(count, side).requires_grad_()
    streams = Draws.of(0, samples=range(count))

    def gradient():
        return torch.autograd.grad(TotalVariation().transform(x, rng=streams[:]).sum(), x)

    ratio(gradient, lambda: TotalVariation().transform(x.detach(), rng=streams[:]), limit=5.0, rounds=7)
