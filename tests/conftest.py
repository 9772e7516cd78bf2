"""Shared fixtures: models whose optima are known in closed form, and a trained one that answers in milliseconds."""

import pytest
import torch
from foolbench.core import Model
from foolbench.evaluation.engine.heap import keep_freed_memory
from foolbench.models import ENTRIES
from foolbench.tasks import Recognition
from torch import Tensor, nn


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_configure():
    keep_freed_memory()


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
