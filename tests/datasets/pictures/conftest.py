"""Trees of pictures in the formats that lie on people's disks."""

import pytest
import torch
from foolbench.core import Model
from foolbench.core.preprocess import Preprocess
from foolbench.tasks import Recognition
from torch import nn


@pytest.fixture
def class_folders(tmp_path, picture):
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
