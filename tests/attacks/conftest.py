"""Every attack of the registry, and what stands beside us in comparisons: independent libraries, and our models as they
take them.
"""

import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import foolbench.attacks  # noqa: F401 (which registers them)
import pytest
import torch
from foolbench.core import Attack, Draws, InputTransform, Model, attacks
from torch import Tensor, nn

CASES = [(name, norm) for name in attacks if issubclass(attacks[name], Attack) for norm in attacks[name].norms]
BUDGET = {"linf": 20 / 255, "l2": 0.6, "l1": 3.0, "l0": 12}


@pytest.fixture(params=CASES, ids="-".join, scope="session")
def attack(request, quick):
    name, norm = request.param
    return attacks.create(name, {"eps": BUDGET[norm], "norm": norm} | quick(name))


@pytest.fixture(scope="session")
def images():
    x = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return x.masked_fill(x < 0.2, 0.0).masked_fill(x > 0.8, 1.0)  # like real images, many values at the bounds


@pytest.fixture(scope="session")
def found(attack, digits_model, images):
    """What the attack makes of the images with seed 0."""
    return attack(digits_model, images, rng=0)


@pytest.fixture(scope="session")
def again(attack, digits_model, images):
    """The same, told what it would ask for, while torch's own generator stands elsewhere; and what passes that took."""
    torch.manual_seed(99)
    y, before = digits_model.predict(images), vars(digits_model.passes).copy()
    found = attack(digits_model, images, y, rng=Draws.of(0, samples=range(10)))
    return found, {kind: count - before[kind] for kind, count in vars(digits_model.passes).items()}


@dataclass(frozen=True, kw_only=True)
class Flip(InputTransform):
    """A share of the evaluations sees the negative, of which a balanced linear model says the opposite."""

    share: float

    differentiable = True
    randomized = True

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        return torch.where(rng.uniform((1, 1, 1)) < self.share, 1 - x, x)


@pytest.fixture
def flip():
    """`flip(share)` is that transform."""
    return lambda share: Flip(share=share)


class AsModule(nn.Module):
    """A model as a function of images in [0, 1] with parameters, which is what peers expect of a network."""

    def __init__(self, model):
        super().__init__()
        self.net, self._model = model.net, [model]  # in a list, so that it is no submodule

    def forward(self, x):
        return self._model[0].logits(x)


class _Recording(nn.Module):
    """Keeps what it is asked about."""

    def __init__(self, net):
        super().__init__()
        self.net, self.seen = net, []

    def forward(self, x):
        self.seen.append(x.detach().clone())
        return self.net(x)


class _Scaled(nn.Module):
    def __init__(self, model, scale, shift):
        super().__init__()
        self.model, self.scale, self.shift = AsModule(model), scale, shift

    def forward(self, x):
        return self.scale * self.model(x) + self.shift


@pytest.fixture
def recording():
    """`recording(net)` is that network, and `seen` of it the images it has been asked about."""
    return _Recording


@pytest.fixture
def scaled():
    """`scaled(model, scale, shift)` gives the same classes by logits in other units."""
    return lambda model, scale, shift=0.0: Model(_Scaled(model, scale, shift), task=model.task)


def peer(name):
    """A module of torchattacks or adv-lib. Without it the test is skipped, and fails under `tox -e peers`."""
    try:
        if name.startswith("adv_lib.attacks."):
            _stand_in_for_its_init()
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if "FOOLBENCH_PEERS" in os.environ:
            raise
        pytest.skip(str(missing))


def _stand_in_for_its_init():
    """The modules of `adv_lib.attacks` can be imported, itself it cannot: it wants visdom, a server for plots."""
    if "adv_lib.attacks" not in sys.modules:
        package = ModuleType("adv_lib.attacks")
        package.__path__ = [str(Path(path) / "attacks") for path in importlib.import_module("adv_lib").__path__]
        sys.modules["adv_lib.attacks"] = package


@pytest.fixture(scope="session", name="as_module")
def as_module_fixture():
    return lambda model: AsModule(model).eval()


@pytest.fixture(scope="session", name="peer")
def peer_fixture():
    return peer
