"""Trees of pictures in the formats that lie on people's disks."""

import numpy as np
import pytest
import torch
from foolbench.core import Model
from foolbench.core.preprocess import Preprocess
from foolbench.tasks import Recognition
from PIL import Image
from torch import nn


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def picture(seed, width=40, height=30):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture(name="picture")
def picture_fixture():
    return picture


@pytest.fixture
def class_folders(tmp_path):
    """Two pictures each of three classes, and what no data set should look at."""
    root = tmp_path / "tree"
    for label, name in enumerate(["cat", "dog", "emu"]):
        (root / name).mkdir(parents=True)
        for k in range(2):
            picture(10 * label + k).save(root / name / f"{k}.png")
        (root / name / "notes.txt").write_text("no picture")
    (root / ".hidden").mkdir()
    picture(99).save(root / ".hidden" / "x.png")
    return root


@pytest.fixture
def network():
    """`network(classes, size, ...)`: a linear one with random weights."""

    def make(classes=3, size=16, channels=3, **options):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, classes))
        preprocess = options.pop("preprocess", Preprocess(size=(size, size), resize=size))
        return Model(
            net,
            task=Recognition(classes=classes),
            shape=(channels, size, size),
            name=f"linear-{classes}",
            preprocess=preprocess,
            **options,
        )

    return make
