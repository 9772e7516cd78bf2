"""A network for maps is scored on pictures with maps by their address."""

import foolbench
import numpy as np
import pytest
import torch
from foolbench.core import Model
from foolbench.core.preprocess import Preprocess
from foolbench.tasks import Segmentation
from PIL import Image
from torch import nn


@pytest.fixture
def voc(tmp_path, monkeypatch):
    """Pictures whose classes are their colours, but for a void border."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    names = [f"2007_{number:06d}" for number in range(6)]
    for seed, name in enumerate(names):
        classes = np.random.default_rng(seed).integers(0, 2, (3, 4)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
        grey = Image.fromarray((80 + 95 * classes).astype(np.uint8)).convert("RGB")
        grey.save(tmp_path / "JPEGImages" / f"{name}.jpg", quality=95)
        classes[:1] = 255
        Image.fromarray(classes).save(tmp_path / "SegmentationClass" / f"{name}.png")
    for split in ("train", "val"):
        (tmp_path / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names))
    return tmp_path


def by_brightness() -> Model:
    """Says class 1 where a pixel is bright, else class 0."""
    net = nn.Conv2d(3, 21, 1)
    with torch.no_grad():
        net.weight.zero_()
        net.bias.fill_(-9.0)
        net.bias[:2] = torch.tensor([0.0, -15.0])
        net.weight[1] = 10.0
    return Model(
        net, task=Segmentation(classes=21), shape=(3, 24, 32), name="bright", preprocess=Preprocess(size=(24, 32))
    )


def test_metrics_are_those_of_the_maps_and_an_attack_takes_what_it_reaches(voc):
    table = foolbench.evaluate(by_brightness(), f"voc:{voc}", attacks=["pgd"], eps="80/255", silent=True)
    rows = table.set_index("metric")
    assert set(table.task) == {"segmentation"}
    assert set(table.status) == {"ok"}
    for metric in ("miou", "miou-image", "pixel-accuracy"):
        assert rows.clean[metric] > 98  # JPEG may blur an edge
        assert rows.gfr[metric] > 98
        assert rows.robust[metric] < 2
    weak = foolbench.evaluate(by_brightness(), f"voc:{voc}", attacks=["pgd"], eps="20/255", silent=True)
    assert weak.gfr.max() < 2
