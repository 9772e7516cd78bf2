"""The device has room for two networks."""

from contextlib import closing

import pytest
import torch
from foolbench.core import Model, register_model
from foolbench.evaluation.engine.executors.in_process import InProcess
from foolbench.evaluation.engine.networks.prepare import prepare
from foolbench.evaluation.engine.networks.setup import Setup
from foolbench.evaluation.engine.run import run
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.report.results import Results
from foolbench.tasks import Recognition
from torch import nn


@pytest.fixture(autouse=True)
def linear_networks():
    """Four of them, with weights of their own."""
    for seed, name in enumerate(("one", "two", "three", "four")):
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        net[1].weight.data = torch.randn(10, 64, generator=torch.Generator().manual_seed(seed))
        model = Model(net, task=Recognition(classes=10), shape=(1, 8, 8), name=name)
        register_model(name)(lambda model=model: model)


@pytest.fixture
def residents(tmp_path, recipe_file, silent, monkeypatch):
    """`residents(models, sources)` runs on a device and says, of every move, how many networks lie there."""

    def residents(models, sources, room=2):
        chosen = [f"models={models}", f"source_models={sources}", "attacks=[{name='fgsm'}]", "defenses=[]"]
        recipe = load_recipe(str(recipe_file), chosen)
        there, counts = set(), []
        move = Model.to

        def watched(self, device):
            (there.add if device == "cpu:0" else there.discard)(self.name)
            counts.append(len(there))
            if len(there) > room:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return move(self, device)

        with Results(tmp_path / "out") as results:
            prepared = prepare(recipe, results.ledger)
            monkeypatch.setattr(Model, "to", watched)
            executor = InProcess(prepared, Setup.of(prepared, results.ledger, results.folder, "cpu:0"), silent)
            with closing(executor):
                run(prepared, results.ledger, results.folder, executor=executor, progress=silent)
            scored = results.run(recipe, prepared.facts)
            results.write_manifest(scored, "cpu")
            table = results.write_leaderboard(scored)
        assert set(table.status) == {"ok"}
        return counts

    return residents


def test_no_more_than_two_networks_are_on_the_device(residents):
    counts = residents(["one", "two", "three"], ["four", "one"])
    assert max(counts) == 2
    assert counts[-1] == 0


def test_where_two_are_all_none_is_moved_twice(residents):
    assert residents(["one"], ["two"]) == [1, 2, 1, 0]


def test_where_one_network_fits_the_other_gives_way(residents):
    counts = residents(["one", "two", "three"], [], room=1)
    assert counts[-1] == 0
