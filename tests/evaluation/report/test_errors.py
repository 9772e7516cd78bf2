"""Compared, judged and checked against a baseline, an error is in its own unit, and more of it is worse."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import foolbench
import pandas as pd
import pytest
import torch
from foolbench.core import ConfigError, InputError, Metric, Model, Task, UnknownNameError, register_task
from foolbench.evaluation.cli import compare
from foolbench.evaluation.grid.planned import planned
from foolbench.evaluation.leaderboard.source import ScoredRun
from foolbench.evaluation.leaderboard.verdicts import verdicts
from foolbench.evaluation.ledger.ledger import Ledger
from foolbench.evaluation.python import evaluate as evaluate_module
from foolbench.evaluation.recipe.gates import Gate
from foolbench.evaluation.report.manifest import read_manifest
from foolbench.evaluation.report.regression import changes
from foolbench.evaluation.report.results import LEDGER
from torch import Tensor, nn

COUNT, MOST = 24, 80_000.0


@dataclass(frozen=True, kw_only=True)
class Levels(Task):
    """One number an image, wherever the largest error there can be says nothing about those that there are."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        near = Metric(statistics=lambda p, r: ((p - r).abs() < 0.2).float(), proportion=True)
        return {"near": near, "off": Metric(statistics=lambda p, r: (p - r).abs(), range=MOST, error=True)}

    def check_outputs(self, outputs: Tensor, samples: int) -> None:
        if outputs.shape != (samples,):
            raise InputError("Expected a number.")

    def check_targets(self, targets: Tensor, samples: int) -> None:
        if targets.shape != (samples,):
            raise InputError("Expected a number.")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets + 1e-3) ** 2

    def average(self, outputs: Tensor, shown: Tensor | None = None) -> Tensor:
        return outputs.mean(dim=1)

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs


class Greys:
    name = "greys"
    task = Levels()
    shape = (1, 4, 4)
    fingerprint = "greys"
    labels = None
    _levels = torch.linspace(0.2, 0.8, COUNT)

    def __len__(self) -> int:
        return COUNT

    def load(self, samples):
        levels = self._levels[list(samples)]
        return levels[:, None, None, None].expand(-1, *self.shape).contiguous(), levels

    def training(self, count, advance=None):
        images = (255 * self._levels[:count, None, None, None]).round().byte()
        return images.expand(-1, *self.shape).contiguous(), self._levels[:count]


class Mean(nn.Module):
    """The mean of an image, times `gain`."""

    def __init__(self, gain):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, x):
        return self.gain * x.mean(dim=(1, 2, 3))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of a run and of one of a network that is worse."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(evaluate_module, "publish", lambda folder, table: None)
        register_task("levels")(Levels)
        folders = []
        for gain in (1.0, 2.0):
            model = Model(Mean(gain), task=Levels(), shape=Greys.shape, mean=0.0, std=1.0, name="mean")
            folders.append(tmp_path_factory.mktemp("errors"))
            attacks = [{"name": "uniform-noise"}, {"name": "fgsm"}]
            foolbench.evaluate(model, Greys(), attacks=attacks, eps=0.1, silent=True, out=folders[-1], device="cpu")
    return folders


@pytest.fixture(autouse=True)
def task(own_registries):
    register_task("levels")(Levels)


def test_compare_tells_errors_in_their_own_unit_and_which_metric(runs, capsys):
    table = pd.read_csv(runs[0] / "leaderboard.csv").set_index(["metric", "attack"])
    found = foolbench.compare(runs[0], by="attack", of="robust")
    assert found.setting.tolist() == ["mean x none, oblivious, near", "mean x none, oblivious, off"]
    assert found.unit.tolist() == ["percent", "error"]
    for row in found.itertuples():
        before, now = (table.robust[row.metric, attack] for attack in ("uniform-noise", "fgsm"))
        assert (row.rate_first, row.rate_second) == pytest.approx((before, now), abs=2e-5)
        assert row.difference == pytest.approx(now - before, abs=2e-5)
        assert row.low <= row.difference <= row.high
    assert found.difference[1] > 0.05
    compare.show(found, as_json=False, csv=None)
    told = " ".join(capsys.readouterr().out.split())
    assert "errors in their own unit" in told
    assert f"{found.rate_second[1]:.3f} - {found.rate_first[1]:.3f}" in told


def test_a_fooling_rate_is_in_percent_of_any_metric(runs):
    found = foolbench.compare(runs[0], by="attack").set_index("metric")
    assert found.difference["off"] == pytest.approx(0, abs=0.01)
    table = pd.read_csv(runs[0] / "leaderboard.csv").set_index(["metric", "attack"])
    assert found.rate_second["near"] == pytest.approx(table.gfr["near", "fgsm"], abs=0.005)


@pytest.fixture
def gated(runs):
    """`gated(gate)` is what a gate says of the first run."""

    def gated(**gate):
        recipe, facts = read_manifest(runs[0])
        recipe = recipe.model_copy(update={"gates": [Gate(attack="fgsm", **gate)]})
        with closing(Ledger(runs[0] / LEDGER, read_only=True)) as ledger:
            return verdicts(ScoredRun(recipe=recipe, facts=facts, ledger=ledger), planned(recipe))

    return gated


def test_a_gate_is_about_the_tasks_first_metric_or_the_one_it_names(gated):
    for gate in ({"clean_min": 50.0}, {"clean_min": 50.0, "metric": "near"}):
        (verdict,) = gated(**gate)
        assert str(verdict).startswith("mean-none-fgsm: clean_min = 50 of near passed: clean is 100.0 [")


def test_percents_of_an_error_are_no_bound(gated):
    with pytest.raises(ConfigError, match="got the error 'off'; set metric to one of: near"):
        gated(robust_min=90.0, metric="off")
    with pytest.raises(UnknownNameError, match="metric in a gate: 'nearer': did you mean 'near'"):
        gated(robust_min=90.0, metric="nearer")


@pytest.mark.parametrize("baseline", ["", "leaderboard.csv"])
def test_more_of_an_error_is_worse_than_a_baseline_and_less_is_not(runs, baseline):
    """Against a table alone, too."""
    good, bad = runs
    (off,) = [
        change
        for change in changes(bad, good / baseline).found
        if (change.rate, change.unit) == ("robust", "error") and "fgsm" in change.row
    ]
    assert off.is_worse
    assert off.row == "mean x fgsm x none, oblivious, off"
    assert off.now - off.before > 0.3
    back = [change for change in changes(good, bad / baseline).found if change.unit == "error"]
    assert not any(change.is_worse for change in back if change.rate == "robust")


def test_a_baseline_whose_rows_all_failed_is_refused(runs, tmp_path):
    table = pd.read_csv(runs[0] / "leaderboard.csv", dtype=str, keep_default_na=False)
    some = table.assign(status=["error", *["ok"] * (len(table) - 1)])
    some.to_csv(tmp_path / "some.csv", index=False)
    found = changes(runs[1], tmp_path / "some.csv")
    assert (found.failed, len(found.found)) == (1, 2 * (len(table) - 1))
    table.assign(status="error").to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(InputError, match="No row is finished both in"):
        changes(runs[1], tmp_path / "none.csv")
