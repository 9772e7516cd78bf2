"""What a GPU gives is what a processor gives: both are asked here. Without a GPU nothing in this folder is run."""

import warnings

import pytest
import torch
from foolbench.core.repeatable import repeatable
from foolbench.evaluation.conformance.checks import on
from foolbench.models import ENTRIES
from torch.nn import functional as F

DEVICE = "cuda"


def pytest_collection_modifyitems(items):
    skip = pytest.mark.skip(reason="needs a GPU that torch can use")
    for item in items:
        if "tests/cuda/" in item.path.as_posix() and not torch.cuda.is_available():
            item.add_marker(skip)


@pytest.fixture(scope="session")
def device():
    return DEVICE


@pytest.fixture(scope="session", autouse=True)
def begun(device):
    """What CUDA, its libraries and PyTorch say once, when they are first used, is no fault of a test."""
    with repeatable(device), warnings.catch_warnings(action="ignore"):
        x = torch.rand(1, 1, 8, 8, device=device, requires_grad=True)
        larger = F.interpolate(F.pad(x, (1,) * 4, mode="replicate"), scale_factor=2, mode="bilinear")
        (F.conv2d(larger, larger[:, :, :3, :3].detach()) @ torch.rand(18, 4, device=device)).sum().backward()


@pytest.fixture
def on_device(device):
    """Meanwhile the networks, images and streams of the conformance kit are made on the GPU, and its numbers exact."""
    with on(device), repeatable(device):
        yield device


@pytest.fixture(scope="session")
def digits_there(device):
    """The network of the digits on the GPU; `digits_model` is the same on the processor."""
    return ENTRIES["digits:convnet"].load().to(device)
