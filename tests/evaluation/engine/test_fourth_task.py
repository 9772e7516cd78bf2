"""A task that foolbench does not know is one class: it is attacked, scored, compared and read back like any other."""

from collections.abc import Mapping
from dataclasses import dataclass

import foolbench
import pytest
import torch
from foolbench.attacks import BIM, FGSM, PGD, DeepFool, UniformNoise
from foolbench.core import ConfigError, InputError, Metric, Model, Task, register_task
from torch import Tensor, nn

COUNT, RANGE = 24, 3


def _rounded_right(prediction: Tensor, reference: Tensor) -> Tensor:
    """(N, 2): of how many of three numbers the nearest whole one is that of the reference, and how many there are."""
    right = (prediction.round() == reference.round()).float().sum(dim=1)
    return torch.stack([right, torch.full_like(right, RANGE)], dim=1)


@register_task("proportions")
@dataclass(frozen=True, kw_only=True)
class Proportions(Task):
    """Three numbers in 0..10 an image."""

    most: float = 10.0

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {
            "right": Metric(statistics=_rounded_right, value=lambda sums: sums[..., 0] / sums[..., 1], separable=True),
            "distance": Metric(statistics=lambda p, r: (p - r).abs().mean(dim=1), range=self.most, error=True),
        }

    def check_outputs(self, outputs: Tensor, samples: int) -> None:
        if outputs.shape != (samples, RANGE):
            raise InputError("Expected three numbers.")

    def check_targets(self, targets: Tensor, samples: int) -> None:
        if targets.shape != (samples, RANGE):
            raise InputError("Expected three numbers.")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return ((outputs - targets + 1e-3) ** 2).sum(dim=1)

    def average(self, outputs: Tensor, shown: Tensor | None = None) -> Tensor:
        return outputs.mean(dim=1)

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.clamp(0, self.most)


class Colours:
    """Uniform images; their targets are their colours."""

    name = "colours"
    task = Proportions()
    shape = (3, 4, 4)
    fingerprint = "colours"
    labels = None
    _levels = 10 * torch.rand(COUNT, RANGE, generator=torch.Generator().manual_seed(0)).round(decimals=1)

    def __len__(self) -> int:
        return COUNT

    def load(self, samples):
        levels = self._levels[list(samples)]
        return (levels / 10)[:, :, None, None].expand(-1, *self.shape).contiguous(), levels

    def training(self, count, advance=None):
        images = (25.5 * self._levels[:count, :, None, None]).round().byte()
        return images.expand(-1, *self.shape).contiguous(), self._levels[:count]


class Mean(nn.Module):
    """Ten times the mean of each colour."""

    def forward(self, x):
        return 10 * x.mean(dim=(2, 3))


@pytest.fixture(scope="module")
def model():
    return Model(Mean(), task=Proportions(), shape=Colours.shape, mean=0.0, std=1.0, name="mean")


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    """All rows, and the folder."""
    folder = tmp_path_factory.mktemp("fourth")
    attacks = [
        UniformNoise(eps=0.2),
        FGSM(eps=0.2),
        PGD(eps=0.2, steps=5),
        {"name": "bim", "eps": 0.2, "steps": 4, "group": "two"},
        {"name": "universal-pgd", "eps": 0.2, "max_iterations": 20, "validate_every": 10, "group": "two"},
    ]
    given = {"attacks": attacks, "defenses": {"name": "random-noise"}, "silent": True, "draws": 3, "out": folder}
    return foolbench.evaluate(model, Colours(), **given), folder, given


def test_every_cell_has_its_numbers(run):
    table = run[0]
    assert set(table.status) == {"ok"}, table.error.tolist()
    assert set(table.task) == {"proportions"}
    assert set(table.metric) == {"right", "distance"}
    exact = table[(table.defense == "none") & (table.metric == "right")].set_index("attack")
    assert (exact.clean == 100).all()
    assert (exact.floor == 0).all()
    members = exact.loc[["bim", "universal-pgd"], "gfr"]
    assert exact.loc["fgsm", "gfr"] > 90  # 0.2 is 2 of 10, and all but those at the end have room for it
    assert exact.loc["two", "gfr"] >= members.max()
    assert exact.loc["uniform-noise", "gfr"] < 50
    distances = table[(table.defense == "none") & (table.metric == "distance")].set_index("attack")
    assert (distances.clean == 0).all()
    assert distances.loc["fgsm", "robust"] == pytest.approx(2, abs=0.3)  # in the unit of the error
    assert distances.loc["fgsm", "gfr"] == pytest.approx(10 * distances.loc["fgsm", "robust"], abs=0.01)
    for rows in (exact, distances):
        assert ((rows.gfr_low <= rows.gfr) & (rows.gfr <= rows.gfr_high)).all()
        assert ((rows.robust_low <= rows.robust) & (rows.robust <= rows.robust_high)).all()


def test_a_randomized_system_has_a_floor(run):
    noisy = run[0][(run[0].defense == "random-noise") & (run[0].metric == "distance")]
    assert (noisy.floor > 0).all()
    assert (noisy.clean > 0).all()
    assert (noisy.clean_drop > 0).all()  # an error that grows is a loss


def test_its_images_can_be_read_and_rows_compared(run):
    table, folder, _ = run
    scores = foolbench.image_scores(folder)
    assert len(scores) == COUNT * len(table)
    distances = scores[scores.metric == "distance"]
    assert (distances.robust >= distances.clean).all()  # the worse of the two
    compared = foolbench.compare(folder, by="attack", of="robust")
    assert set(compared.status) == {"ok"}
    row = compared[(compared["first"] == "uniform-noise") & (compared.second.str.startswith("fgsm"))]
    assert ((row.difference < 0) == (row.metric == "right")).all()  # of an error more is worse
    assert (row.p < 0.01).all()


def test_a_finished_run_is_not_run_again(run, model):
    table, _, given = run
    again = foolbench.evaluate(model, Colours(), **given)
    assert again.seconds.tolist() == table.seconds.tolist()


def test_an_attack_that_needs_classes_is_refused_before_anything_runs(model, tmp_path):
    with pytest.raises(ConfigError, match="from one class to another"):
        foolbench.evaluate(model, Colours(), attacks=DeepFool(eps=0.2), silent=True, out=tmp_path)
    with pytest.raises(ConfigError, match="from one class to another"):
        DeepFool()(model, Colours().load([0])[0])


def test_attacks_follow_its_loss(model):
    x, y = Colours().load(range(COUNT))
    for attack in (FGSM(eps=0.1), BIM(eps=0.1), PGD(eps=0.1, steps=10)):
        moved = (model.predict(attack(model, x, y, rng=0)) - y).abs()
        expected = torch.minimum(torch.maximum(y, 10 - y), torch.tensor(1.0))
        assert (moved <= expected + 1e-4).all()
        assert float(moved.mean()) > 0.8
