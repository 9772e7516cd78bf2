"""Shared fixtures: models whose optima are known in closed form, and a trained one that answers in milliseconds."""

import gc

import pytest
import torch
from foolbench.core import Model
from foolbench.evaluation.engine.memory.heap import keep_freed_memory
from foolbench.models import ENTRIES
from foolbench.tasks import Recognition
from torch import Tensor, nn

QUICK = {  # parameters that make an attack or a defense cheap, or possible at all, without making it another
    "adaptive-ensemble": {"steps": 3, "queries": 20},
    "apgd": {"steps": 10},
    "autoattack": {"steps": 3, "queries": 20},
    "autoencoder": {"epochs": 1},
    "carlini-wagner": {"searches": 2, "steps": 20, "initial_c": 1.0},
    "compose": {"steps": [{"name": "median"}, {"name": "jpeg"}]},
    "confident-pgd": {"steps": 10, "confidence": 0.01},
    "cospgd": {"steps": 10},
    "fab": {"steps": 5},
    "fff": {"max_iterations": 10},
    "gd-uap": {"max_iterations": 10},
    "gd-uap-fff": {"max_iterations": 10},
    "momentum": {"steps": 10},
    "odds-are-odd": {"draws": 4},
    "pgd": {"steps": 10},
    "prn": {"training_images": 64, "perturbations": 2, "epochs": 1},
    "quilting": {"patches": 2000},
    "rays": {"queries": 50},
    "sea": {"steps": 6},
    "segpgd": {"steps": 10},
    "square": {"queries": 40},
    "trust-region": {"steps": 50},
    "uap": {"passes": 2},
    "universal-pgd": {"max_iterations": 10},
}


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_configure():
    keep_freed_memory()


def pytest_collection_finish():
    gc.freeze()  # or every collection goes through a million objects of what has been imported


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: give --slow to run it")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


class LinearNet(nn.Module):
    """Logits are `weight @ flat(x) + bias`; `weight` is (classes, C*H*W)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T + self.bias


def linear_model(classes: int, shape: tuple[int, int, int], seed: int = 0) -> Model:
    """A random linear classifier, balanced at the mid-grey image."""
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(classes, shape[0] * shape[1] * shape[2], generator=rng)
    bias = -weight.sum(dim=1) * 0.5
    return Model(LinearNet(weight, bias), task=Recognition(classes=classes), shape=shape, name=f"linear-{classes}")


def mid_images(count: int, shape: tuple[int, int, int], seed: int = 1) -> Tensor:
    """Images in [0.3, 0.7]: a budget of up to 0.3 never meets the box, so closed forms hold exactly."""
    rng = torch.Generator().manual_seed(seed)
    return 0.3 + 0.4 * torch.rand(count, *shape, generator=rng)


@pytest.fixture(scope="session", name="linear_model")
def linear_model_fixture():  # under --import-mode=importlib tests cannot import from here: they ask for the function
    return linear_model


@pytest.fixture(scope="session", name="mid_images")
def mid_images_fixture():
    return mid_images


@pytest.fixture(scope="session")
def quick():
    """`quick(name)` are parameters for the attack or defense of that name."""
    return lambda name: QUICK.get(name, {})


@pytest.fixture(scope="session")
def digits_model() -> Model:
    return ENTRIES["digits:convnet"].load()


@pytest.fixture
def recipe_text() -> str:
    """A recipe that runs in a second."""
    return """
name = "tiny"
dataset = "digits"
samples = 24
batch_size = 16
models = ["digits:convnet"]
[threat]
eps = "40/255"
[[attacks]]
name = "uniform-noise"
[[attacks]]
name = "pgd"
steps = 5
[[attacks]]
name = "gd-uap"
prior = "range"
max_iterations = 20
[[defenses]]
name = "bit-depth"
[[defenses]]
name = "median"
"""
