"""A gradient that is claimed to be exact is one, to 15%; kinks and steep or nearly flat outputs do not matter."""

import zlib
from dataclasses import dataclass
from typing import Literal

import pytest
import torch
from foolbench.core import InputTransform
from foolbench.evaluation.conformance import BrokenPromiseError
from foolbench.evaluation.conformance.gradient_check import gradient_is_as_declared


def mask(kind, shape):
    """Where, and with which sign, a gradient is wrong."""
    rng = torch.Generator().manual_seed(zlib.crc32(kind.encode()))
    up, rows, channels = torch.ones(shape), torch.arange(shape[1])[:, None], torch.arange(shape[0])[:, None, None]
    return {
        "everywhere": up,
        "each pixel its way": 2.0 * torch.randint(2, shape, generator=rng) - 1,
        "half of the image": up * (rows < shape[1] // 2),
        "one channel": up * (channels == 0),
    }[kind]


@dataclass(frozen=True, kw_only=True)
class Off(InputTransform):
    """Darker by a half, with a gradient that is wrong by a factor 1 + `by` in some places."""

    by: float
    where: Literal["everywhere", "each pixel its way", "half of the image", "one channel"] = "everywhere"

    differentiable = True
    randomized = False

    def transform(self, x, *, rng):
        wrong = 0.5 * x * self.by * mask(self.where, x.shape[1:])
        return 0.5 * x + (wrong - wrong.detach())


@pytest.mark.parametrize(
    "defense",
    [
        *(Off(by=by) for by in (0.3, -0.3, 1.0, -2.0)),
        *(Off(by=by, where=where) for by in (0.3, -0.3) for where in ("each pixel its way", "half of the image")),
        *(Off(by=by, where="one channel") for by in (0.5, -0.5)),
    ],
    ids=repr,
)
def test_a_wrong_gradient_is_seen(defense):
    with pytest.raises(BrokenPromiseError, match="autograd says"):
        gradient_is_as_declared(defense)


@dataclass(frozen=True, kw_only=True)
class Curve(InputTransform):
    """One function of each pixel, with the gradient of autograd."""

    kind: str

    differentiable = True
    randomized = False

    def transform(self, x, *, rng):
        return {
            "kinks": lambda: 0.25 + 0.25 * ((13 * x) % 2 - 1).abs(),
            "ramps": lambda: 0.2 + 0.6 * torch.relu(x - 0.4),
            "steep": lambda: torch.sigmoid(40 * (x - 0.5)),
            "waves": lambda: 0.5 + 0.4 * torch.sin(60 * x),
            "nearly flat": lambda: 0.5 + 0.005 * x,
            "half precision": lambda: (x.double() ** 2).float(),
            "straight through": lambda: x + ((255 * x).round() / 255 - x).detach(),
        }[self.kind]()


@pytest.mark.parametrize("kind", ["kinks", "ramps", "steep", "waves", "nearly flat", "half precision"])
def test_a_true_gradient_is_not(kind):
    gradient_is_as_declared(Curve(kind=kind))


def test_a_staircase_has_not_the_gradient_of_its_ramp():
    with pytest.raises(BrokenPromiseError, match="autograd says"):
        gradient_is_as_declared(Curve(kind="straight through"))


def test_a_surrogate_is_no_claim():
    @dataclass(frozen=True, kw_only=True)
    class Guess(Curve):
        """Offers the identity as its gradient."""

        differentiable = False

    gradient_is_as_declared(Guess(kind="straight through"))
