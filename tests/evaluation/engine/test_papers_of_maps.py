"""GD-UAP's Tables 3 to 6 from their recipes, on tiny networks: every number of the paper has one of ours beside it."""

import pytest
import torch
from foolbench.attacks.universal import priors
from foolbench.core import Model
from foolbench.core.registry import models
from foolbench.datasets import SceneDepths, SceneMaps, Scenes
from foolbench.evaluation.engine.networks import training_data
from foolbench.evaluation.opening.recipes import recipe_path
from foolbench.evaluation.report.published import beside
from torch import nn


class Deep(nn.Sequential):
    """Depths in 1..9."""

    def forward(self, x):
        return 1 + 8 * (10 * super().forward(x)).sigmoid()


def network(data, name):
    torch.manual_seed(0)
    kind, outputs = (nn.Sequential, 7) if isinstance(data, SceneMaps) else (Deep, 1)
    net = kind(
        nn.Conv2d(3, 6, 5, stride=4, padding=2), nn.Tanh(), nn.Conv2d(6, outputs, 1), nn.Upsample(scale_factor=4)
    )
    facts = {"shape": data.shape, "mean": 0.42, "std": 0.15}
    return Model(net, task=data.task, features=("0", "2"), name=name, **facts)


@pytest.fixture
def without_rendering(monkeypatch):
    def training(self, count, advance=lambda images: None):
        images, targets = self.load(range(-count, 0))
        return (255 * images).round().to(torch.uint8), targets

    monkeypatch.setattr(Scenes, "training", training)
    monkeypatch.setattr(training_data, "TRAINING_IMAGES", 16)
    monkeypatch.setattr(priors, "POOL", 16)


TABLES = [
    ("gduap-table3", SceneMaps(), "fcn-alex"),
    pytest.param("gduap-table4", SceneMaps(), "deeplab-resnet", marks=pytest.mark.slow),
    ("gduap-table5", SceneDepths(), "monodepth-vgg"),
    pytest.param("gduap-table6", SceneDepths(), "monodepth-resnet", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("recipe", "data", "net"), TABLES, ids=["table3", "table4", "table5", "table6"])
def test_every_number_of_a_network_is_found(recipe, data, net, execute, without_rendering, monkeypatch):
    name = f"scenes:{net}"
    monkeypatch.setitem(models._classes, name, lambda: network(data, name))
    text = recipe_path(recipe).read_text().replace("max_iterations = 1000", "max_iterations = 2")
    table = execute(recipe, f"models=['{name}']", "samples=4", text=text)
    assert set(table.status) == {"ok"}, table.error.tolist()
    (found,) = beside(table)
    ours = [line for line in found.lines if any(text and not text.startswith("-") for text in list(line.values())[1:])]
    assert len(ours) == (6 if recipe == "gduap-table5" else 1)
    assert not [text for line in ours for text in line.values() if text.startswith("-")]
    if recipe == "gduap-table5":
        mean = table[table.defense == "train-mean"]
        assert (mean.gfr == 0).all()
        assert mean.groupby("metric").clean.nunique().max() == 1
    else:
        crafted = table[table.attack == "gd-uap"].crafted
        assert crafted.nunique() == table[table.attack == "gd-uap"].attack_params.nunique()
