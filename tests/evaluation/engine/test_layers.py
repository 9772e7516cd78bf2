"""How far layers move, of networks whose layers are linear: what a change moves is what it gives by itself."""

from contextlib import closing

import foolbench
import numpy as np
import pandas as pd
import pytest
import torch
from foolbench.attacks import FGSM, UniformNoise
from foolbench.core import ConfigError, Draws, Model, UnknownNameError
from foolbench.defenses import BitDepth
from foolbench.evaluation.engine.scoring.layers import changes, shift
from foolbench.evaluation.grid.layers import named
from foolbench.evaluation.leaderboard.layers import moved_layers
from foolbench.evaluation.ledger.ledger import Ledger
from foolbench.evaluation.python import evaluate
from foolbench.evaluation.report.finished import finished_run
from foolbench.tasks import Recognition
from torch import nn

SHAPE, COUNT, LAYERS = (1, 4, 4), 12, ["flat", "first", "last"]


class Net(nn.Module):
    def __init__(self, twice=False):
        super().__init__()
        rng, self.twice = torch.Generator().manual_seed(0), twice
        self.flat, self.first, self.last = nn.Flatten(), nn.Linear(16, 16, bias=False), nn.Linear(16, 3, bias=False)
        for layer in (self.first, self.last):
            layer.weight.data = torch.randn(layer.weight.shape, generator=rng)

    def forward(self, x):
        first = self.first(self.flat(x))
        return self.last(self.first(first) if self.twice else first)


def model(net=None, **more):
    return Model(net or Net(), task=Recognition(classes=3), shape=SHAPE, features=("first", "last"), name="net", **more)


@pytest.fixture
def pair(mid_images):
    x = mid_images(COUNT, SHAPE)
    return x, x + 0.02 * torch.sign(mid_images(COUNT, SHAPE, seed=5) - 0.5)


def norms(*columns):
    return np.stack([torch.linalg.vector_norm(column.flatten(1), dim=1).numpy() for column in columns], axis=1)


def test_a_linear_layer_moves_by_what_the_change_gives_alone(pair):
    (x, x_adv), net = pair, Net()
    found = changes(model(net), LAYERS, x, x_adv, rng=Draws.of(0, samples=range(COUNT)))
    first, last = net.first.weight.detach(), net.last.weight.detach()
    delta, flat = (x_adv - x).flatten(1), x.flatten(1)
    clean, moved = (norms(v, v @ first.T, v @ first.T @ last.T) for v in (flat, delta))
    assert found["layers_clean"] == pytest.approx(clean, rel=1e-4)
    assert found["layers_moved"] == pytest.approx(moved, rel=1e-3)
    assert found["layers_alone"] == pytest.approx(moved, rel=1e-3)
    assert shift(found) == pytest.approx(moved[:, 2] / clean[:, 2], rel=1e-3)


def test_the_change_alone_lies_on_the_image_that_normalisation_maps_to_zero(pair):
    x, x_adv = pair
    normalised = model(mean=0.5, std=0.25)
    found = changes(normalised, LAYERS, x, x_adv, rng=Draws.of(0, samples=range(COUNT)))
    assert found["layers_alone"] == pytest.approx(found["layers_moved"], rel=1e-3)  # not so on a black image
    assert found["layers_moved"][:, 0] == pytest.approx(4 * norms(x_adv - x)[:, 0], rel=1e-3)


def test_behind_a_defense_nothing_is_told_of_the_change_alone(pair):
    defended = BitDepth(bits=8).defend(model())
    found = changes(defended, ["last"], *pair, rng=Draws.of(0, samples=range(COUNT)))
    assert set(found) == {"layers_clean", "layers_moved"}


def test_a_dead_layer_does_not_move():
    assert shift({"layers_clean": np.zeros((2, 1)), "layers_moved": np.zeros((2, 1))}).tolist() == [0, 0]


def test_features_stand_for_all_that_a_network_calls_so():
    assert named(["flat", "features", "first"], ("first", "last")) == ["flat", "first", "last"]


@pytest.mark.parametrize(
    ("net", "layers", "error", "words"),
    [
        (Net(), ["furst"], UnknownNameError, "first"),
        (Net(), [], ConfigError, "no feature layers"),
        (Net(twice=True), ["first"], ConfigError, "several times"),
    ],
    ids=["unknown", "none", "twice"],
)
def test_layers_that_cannot_be_compared_are_refused(pair, net, layers, error, words):
    with pytest.raises(error, match=words):
        changes(model(net), layers, *pair, rng=Draws.of(0, samples=range(COUNT)))


@pytest.fixture
def ran(pair, tmp_path, monkeypatch):
    """`ran(layers)` is the leaderboard of a run and how far layers moved in it."""
    monkeypatch.setattr(evaluate, "publish", lambda *_: None)

    def ran(layers, samples=COUNT):
        data = pair[0], torch.zeros(COUNT, dtype=torch.long)
        attacks = [FGSM(eps=0.05), UniformNoise(eps=0.05)]
        facts = {"layers": layers, "samples": samples, "batch_size": 5, "device": "cpu", "silent": True}
        table = foolbench.evaluate(model(), data, attacks=attacks, out=tmp_path, **facts)
        with finished_run(tmp_path) as finished:
            return table, moved_layers(finished)

    return ran


def test_a_run_keeps_them_in_its_ledger_and_tells_the_means(ran, tmp_path):
    table, moved = ran(["features"])
    assert [one.cell for one in moved] == table.cell.tolist()
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        for one, told in zip(moved, table["layer_shift"], strict=True):
            kept = ledger.outcomes(one.cell).images
            relative = kept["layers_moved"] / kept["layers_clean"]
            assert list(one.layers) == ["first", "last"]
            assert [layer.mean for layer in one.relative] == pytest.approx(relative.mean(axis=0).tolist(), rel=1e-5)
            assert one.moved == pytest.approx(kept["layers_moved"].mean(axis=0).tolist(), rel=1e-5)
            assert one.alone == pytest.approx(one.moved, rel=1e-2)
            assert told == pytest.approx(relative[:, 1].mean(), abs=1e-4)
    assert foolbench.image_scores(tmp_path)["layer_shift"].notna().all()


def test_other_layers_are_other_cells_of_the_same_images(ran):
    without, nothing = ran([])
    assert nothing == []
    assert without["layer_shift"].isna().all()
    table, moved = ran(["last"])
    assert len(moved) == 2
    assert not set(table.cell) & set(without.cell)
    pd.testing.assert_series_equal(table.crafted, without.crafted)
    pd.testing.assert_series_equal(table.gfr, without.gfr)
