"""What a check is, and what they share: small models, images at the edges, and the global random states."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.model import Model
from ...core.seeding import Draws
from ...tasks.recognition import Recognition

T = TypeVar("T")

SHAPE = (3, 32, 40)


class BrokenPromiseError(AssertionError):
    """A promise that is not kept: what was promised, what was seen, what to do; one sentence."""


@dataclass(frozen=True)
class Check(Generic[T]):
    """One promise. `run` raises BrokenPromiseError where it is not kept."""

    run: Callable[[T], None]

    @property
    def promise(self) -> str:
        """Its docstring: what is promised."""
        return (self.run.__doc__ or "").strip()

    def __str__(self) -> str:
        return self.run.__name__


def hold(kept: bool | Tensor, sentence: str) -> None:
    if not kept:
        raise BrokenPromiseError(sentence)


def images(count: int = 4, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    """Structure, noise, and values at both bounds, as photographs have them; the same at every call."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, shape[0], 4, 5, generator=rng)
    smooth = F.interpolate(coarse, shape[1:], mode="bicubic", align_corners=False)
    noisy = 1.4 * smooth - 0.2 + 0.05 * torch.randn(smooth.shape, generator=rng)
    return (noisy.clamp(0, 1) * 255).round() / 255


def extremes(shape: tuple[int, int, int] = SHAPE) -> Tensor:
    """A black image, a white one, and one of both."""
    both = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    return torch.stack([torch.zeros(shape), torch.ones(shape), both])


def model(channels: int = SHAPE[0], classes: int = 5) -> Model:
    """A small random network that takes images of any size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = nn.Linear(128, classes)
        head.weight.data *= 20  # classes that differ, as those of a trained network do
        net = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1), nn.Tanh(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), head
        )
    return Model(net, task=Recognition(classes=classes), features=("0",), name="a small network")


def streams(count: int, seed: int = 0) -> Draws:
    return Draws.of(seed, "conformance", samples=range(count))


def global_random_states() -> tuple[bytes, str, str]:
    """Of torch, NumPy and Python: what foreign code draws from unseen."""
    state = torch.random.get_rng_state().numpy().tobytes()
    return state, repr(np.random.get_state()), repr(random.getstate())  # noqa: NPY002 (the one that others use)
