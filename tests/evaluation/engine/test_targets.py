"""What targeted attacks of a run reach for: a random other class of each image, the same for all attacks."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from foolbench.attacks import PGD
from foolbench.core import Attack, ConfigError, Draws, register_attack
from foolbench.datasets import Digits
from foolbench.evaluation.engine.crafting.targets import another_class, drawn_targets
from foolbench.tasks import AbstainingRecognition, Recognition

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
    fooled = digits_model.predict(PGD(**facts, targeted=True)(digits_model, x, y)) != own
    assert 20 < row.gfr == pytest.approx(100 * float(fooled.float().mean()), abs=0.01)


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
