"""The class of a check, and what checks share: test images, a small model, and the global random states."""

import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.learned_defense import FittedDefense
from ...core.model import Model
from ...core.seeding import Draws
from ...tasks.recognition import Recognition

T = TypeVar("T")

SHAPE = (3, 32, 40)

_DEVICE = ContextVar("device", default="cpu")


@contextmanager
def on(device: str) -> Iterator[None]:
    """Place the images, models and random streams of the checks on this device."""
    token = _DEVICE.set(device)
    try:
        yield
    finally:
        _DEVICE.reset(token)


class BrokenPromiseError(AssertionError):
    """The error of a check whose promise is broken; its sentence says what was seen and how to fix it."""


@dataclass(frozen=True)
class Check(Generic[T]):
    """A check of one promise; `run` takes the subject, and raises BrokenPromiseError if the promise is broken.

    `needs` names the checks that must succeed first; otherwise this one would only repeat their failure.
    """

    run: Callable[[T], None]
    needs: tuple[str, ...] = ()

    @property
    def promise(self) -> str:
        """The promise in words, which is the docstring of `run`."""
        return (self.run.__doc__ or "").strip()

    def __str__(self) -> str:
        return self.run.__name__


def hold(kept: bool | Tensor, sentence: str) -> None:
    if not kept:
        raise BrokenPromiseError(sentence)


def describes_itself(subject: object) -> None:
    """The class has a docstring, whose first line says what it does."""
    cls = type(_configuration(subject))
    doc = (cls.__doc__ or "").strip()
    own = doc and not doc.startswith(f"{cls.__name__}(")  # Python gives a dataclass without a docstring its signature
    hold(bool(own), f"{cls.__name__} has no docstring; say in one sentence what it does.")


def configuration_survives_pickling(subject: object) -> None:
    """The configuration survives pickling, and its repr, its identity in the ledger, holds plain values only."""
    subject = _configuration(subject)
    try:
        again = pickle.loads(pickle.dumps(subject))
    except Exception as error:  # noqa: BLE001 (pickling may raise anything)
        where = "keep only plain values in its fields, at the top level of a module"
        raise BrokenPromiseError(f"Pickling it raised {error!r}; {where}.") from None
    hold(again == subject, f"Unpickled it is {again!r}, not {subject!r}; make it a frozen dataclass.")
    hold(
        " at 0x" not in repr(subject), f"Its repr {subject!r} names a place in memory; make every field a plain value."
    )


def _configuration(subject: object) -> object:
    """Return the user's object; that of a fitted defense is its configuration."""
    return subject.configuration if isinstance(subject, FittedDefense) else subject


def images(count: int = 4, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    """Return float32 images (count, C, H, W) in [0, 1], the same at every call.

    Like photographs, they have structure, noise, and values at both bounds.
    """
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, shape[0], 4, 5, generator=rng)
    smooth = F.interpolate(coarse, shape[1:], mode="bicubic", align_corners=False)
    noisy = 1.4 * smooth - 0.2 + 0.05 * torch.randn(smooth.shape, generator=rng)
    return ((noisy.clamp(0, 1) * 255).round() / 255).to(_DEVICE.get())


def extremes(shape: tuple[int, int, int] = SHAPE) -> Tensor:
    """Return an all-black image, an all-white one and one of black and white pixel values, (3, C, H, W)."""
    both = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    return torch.stack([torch.zeros(shape), torch.ones(shape), both]).to(_DEVICE.get())


def model(channels: int = SHAPE[0], classes: int = 5) -> Model:
    """Return a small random network that takes images of any size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = nn.Linear(128, classes)
        head.weight.data *= 20  # confident predictions, like those of a trained network
        net = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.Tanh(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            _Cells(),
            nn.Flatten(),
            head,
        )
    return Model(net, task=Recognition(classes=classes), features=("0",), name="a small network").to(_DEVICE.get())


class _Cells(nn.Module):
    """Average pooling to 4 x 4; `AdaptiveAvgPool2d` is not used, since its gradients on a GPU are not deterministic."""

    def forward(self, x: Tensor) -> Tensor:
        down, across = (F.adaptive_avg_pool1d(torch.eye(side).to(x), 4) for side in x.shape[2:])
        return down.T @ x @ across


def streams(count: int, seed: int = 0) -> Draws:
    return Draws.of(seed, "conformance", samples=range(count), device=_DEVICE.get())


def global_random_states() -> tuple[bytes, str, str]:
    """Return the states of the global random generators of torch, NumPy and Python."""
    states = [torch.random.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [])]
    state = b"".join(one.numpy().tobytes() for one in states)
    return state, repr(np.random.get_state()), repr(random.getstate())  # noqa: NPY002 (the global generator)
