"""TV minimisation against loops over images: scikit-image's split Bregman and, where installed, ART's method."""

import numpy as np
import pytest
import torch
from foolbench.datasets import Scenes
from foolbench.defenses import TotalVariation
from skimage.restoration import denoise_tv_bregman
from torch.nn import functional as F

SIZES = pytest.mark.parametrize(("count", "side"), [(64, 64), (8, 224)])


def images(count: int, side: int) -> torch.Tensor:
    return F.interpolate(Scenes().load(0, count)[0], (side, side), mode="bicubic", antialias=True).clamp(0, 1)


def energy(z: torch.Tensor, x: torch.Tensor, weight: float) -> float:
    right, down = torch.zeros_like(z), torch.zeros_like(z)
    right[..., :-1], down[..., :-1, :] = z.diff(dim=-1), z.diff(dim=-2)
    return float((z - x).square().sum() / 2 + weight * torch.hypot(right, down).sum())


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
    # ART minimises another energy (the fidelity is not squared): both run as they are by default, which
    # for ART is 10 iterations of L-BFGS
    art = pytest.importorskip("art.defences.preprocessor")
    x, ours, theirs = images(count, side), TotalVariation(), art.TotalVarMin(clip_values=(0, 1))
    pixels = x.permute(0, 2, 3, 1).numpy()
    ratio(lambda: ours(x), lambda: theirs(pixels), limit=0.4, rounds=2)
