"""What targeted attacks of a run reach for: a random other class of each image, the same for all attacks."""

from dataclasses import dataclass
from typing import ClassVar

import foolbench
import pytest
import torch
from foolbench.attacks import PGD
from foolbench.core import Attack, ConfigError, Draws, Model, register_attack
from foolbench.datasets import Digits
from foolbench.evaluation.engine.crafting.targets import another_class, drawn_targets
from foolbench.tasks import AbstainingRecognition, Depth, Recognition

COUNT = 40


@pytest.fixture
def targets(own_registries):
    """What attacks called `noting` and `noting-too` were to reach, for each image, by name."""
    noted: dict[str, dict[bytes, int]] = {}

    class Noting(Attack):
        access: ClassVar = "none"

        def perturb(self, model, x, y, *, rng):
            for image, target in zip(x, y.tolist(), strict=True):
                assert noted.setdefault(type(self).__name__, {}).setdefault(image.numpy().tobytes(), target) == target
            return x

    for name in ("noting", "noting-too"):
        kind = type(name, (Noting,), {"__module__": __name__})
        register_attack(name)(dataclass(frozen=True, kw_only=True)(kind))
    return noted


def test_each_image_has_another_class_as_its_target_whatever_the_attack(targets, execute, digits_model):
    listed = "attacks=[{name='noting', targeted=true}, {name='noting-too', targeted=true}]"
    table = execute("out", listed, "defenses=[]", f"samples={COUNT}", "sampling=first", "batch_size=7")
    assert set(table.status) == {"ok"}, table.error.tolist()
    assert targets["noting"] == targets["noting-too"]
    x = Digits().load(range(COUNT))[0]
    own = digits_model.predict(x)
    found = torch.tensor([targets["noting"][image.numpy().tobytes()] for image in x])
    assert (found != own).all()
    assert len(set(((found - own) % 10).tolist())) > 5


def test_a_randomized_system_has_the_same_targets_under_all_attacks(targets, execute):
    listed = "attacks=[{name='noting', targeted=true}, {name='noting-too', targeted=true}]"
    noisy = ("defenses=[{name='random-noise', scale=0.5}]", "knowledge=['adaptive']", "eot_draws=1")
    table = execute("out", listed, *noisy, f"samples={COUNT}", "sampling=first")
    assert set(table.status) == {"ok"}, table.error.tolist()
    assert targets["noting"] == targets["noting-too"]


def test_what_is_crafted_is_what_the_attack_makes_of_these_targets(execute, digits_model):
    facts = {"eps": 0.2, "steps": 20, "random_start": False}
    listed = "attacks=[{name='pgd', eps=0.2, steps=20, random_start=false, targeted=true}]"
    row = execute("out", listed, "defenses=[]", f"samples={COUNT}", "sampling=first").iloc[0]
    x = Digits().load(range(COUNT))[0]
    own = digits_model.predict(x)
    y = drawn_targets(digits_model, x, range(COUNT), seed=0)
    found = digits_model.predict(PGD(**facts, targeted=True)(digits_model, x, y))
    assert 20 < row.gfr == pytest.approx(100 * float((found != own).float().mean()), abs=0.01)
    assert row.at_target == pytest.approx(100 * float((found == y).float().mean()), abs=0.01)
    assert row.at_target_low < row.at_target < row.at_target_high


def test_only_attacks_with_targets_say_how_often_they_reach_them(execute):
    """Also where the images come from the cache: the second run crafts none."""
    listed = "attacks=[{name='pgd', eps=0.2, steps=5, targeted=true, group='all'}, {name='fgsm', eps=0.2, group='all'}]"
    tables = [execute(name, listed, "defenses=[{name='jpeg'}]", f"samples={COUNT}") for name in ("out", "again")]
    for table in tables:
        assert table.at_target[table.attack == "pgd"].notna().all()
        assert table.at_target[table.attack != "pgd"].isna().all()
    first, again = tables
    assert first.at_target.dropna().tolist() == again.at_target.dropna().tolist()
    assert (first.at_target.dropna() <= first.gfr[first.attack == "pgd"] + first.floor.max()).all()


def test_an_aim_is_reached_as_far_as_the_metric_of_a_map_says():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 3, padding=1), torch.nn.Softplus())
    model = Model(net, task=Depth(), shape=(3, 8, 8), name="small")
    data = torch.utils.data.TensorDataset(torch.rand(4, 3, 8, 8), torch.rand(4, 8, 8) + 1)
    attack = PGD(eps="20/255", steps=5, random_start=False, aim="flip-left-right")
    table = foolbench.evaluate(model, data, attacks=[attack], eps="20/255", samples=4, silent=True)
    x = data.tensors[0]
    goals = model.predict(x).flip(2)
    found = model.predict(attack(model, x))
    expected = ((found - goals).abs() / goals).mean()
    rows = table.set_index("metric")
    assert rows.at_target["abs-rel"] == pytest.approx(float(expected), abs=1e-4)
    assert rows.at_target["abs-rel"] < float(((model.predict(x) - goals).abs() / goals).mean())


def test_members_of_an_ensemble_reach_for_the_same_target(execute):
    listed = "attacks=[{name='adaptive-ensemble', eps=0.2, steps=10, queries=5, targeted=true}]"
    table = execute("out", listed, "defenses=[]", f"samples={COUNT}", "sampling=first")
    assert set(table.status) == {"ok"}, table.error.tolist()
    alone = execute("alone", "attacks=[{name='pgd', eps=0.2, targeted=true}]", "defenses=[]", f"samples={COUNT}")
    assert table.gfr[table.attack == "adaptive-ensemble"].item() >= alone.gfr.item() - 10


@pytest.mark.parametrize("task", [Recognition(classes=10), AbstainingRecognition(classes=10)], ids=str)
def test_targets_are_all_other_answers_alike(task):
    own = torch.full((9000,), 4)
    counts = another_class(task, own, Draws.of(0, samples=range(9000))).bincount(minlength=11)
    assert counts[4] == counts[10] == 0
    assert (counts[counts > 0] - 1000).abs().max() < 150


def test_a_rejected_image_may_go_to_any_class():
    task = AbstainingRecognition(classes=2)
    drawn = another_class(task, torch.full((200,), 2), Draws.of(0, samples=range(200)))
    assert set(drawn.tolist()) == {0, 1}


def test_maps_have_no_target_class(execute):
    with pytest.raises(ConfigError, match="one class"):
        execute("out", "dataset=scenes-segmentation", "models=['scenes:fcn-alex']", "samples=4", "defenses=[]",
                "attacks=[{name='pgd', targeted=true}]")  # fmt: skip
