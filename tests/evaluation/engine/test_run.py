"""The same recipe gives the same table, and finished work is not done again."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from foolbench.attacks import GDUAP, PGD, UniformNoise
from foolbench.core import InputTransform, Model, register_defense, register_model
from foolbench.datasets import Digits
from foolbench.evaluation.engine.scoring.system import System
from foolbench.models import ENTRIES

NOISY = '[[defenses]]\nname = "toy-noise"\n'


@pytest.fixture(autouse=True)
def toy_noise():
    @register_defense("toy-noise")
    @dataclass(frozen=True, kw_only=True)
    class ToyNoise(InputTransform):
        """Uniform noise: the simplest randomized defense."""

        width: float = 0.3
        differentiable: ClassVar[bool] = True
        randomized: ClassVar[bool] = True

        def transform(self, x, *, rng):
            return (x + rng.uniform(x.shape[1:], -self.width, self.width)).clamp(0, 1)


@pytest.fixture
def forbid(monkeypatch):
    """After this, crafting and scoring are errors."""

    def refuse(*arguments, **options):
        raise AssertionError("this work was finished already")

    def forbid(*, crafting=True, scoring=True):
        if crafting:
            for attack, method in ((UniformNoise, "perturb"), (PGD, "perturb"), (GDUAP, "search")):
                monkeypatch.setattr(attack, method, refuse)
        if scoring:
            monkeypatch.setattr(System, "score", refuse)
            monkeypatch.setattr(Model, "logits", refuse)

    return forbid


def test_every_cell_has_a_row_and_the_attacks_are_told_apart(execute):
    table = execute("out", add=NOISY)
    assert len(table) == 3 * 4
    assert set(table.status) == {"ok"}
    rates = table[table.defense == "none"].set_index("attack").gfr
    assert rates["pgd"] > rates["uniform-noise"]
    assert (table[table.defense == "toy-noise"].floor > 0).all()
    assert (table[table.defense != "toy-noise"].floor == 0).all()
    assert (table.linf_max <= 40 / 255 + 1e-6).all()


def test_twice_the_same_recipe_gives_the_same_table(execute, assert_same):
    assert_same(execute("first", add=NOISY), execute("second", add=NOISY))


def test_another_seed_gives_another_table(execute):
    first, second = execute("first", add=NOISY), execute("second", "seed=1", add=NOISY)
    assert not first.l2_mean.equals(second.l2_mean)
    assert set(first.sampling) == {"balanced, seed 0"} != set(second.sampling)


@pytest.mark.parametrize("size", [5, 100])
def test_batch_size_changes_nothing(execute, assert_same, size):
    assert_same(execute("first", add=NOISY), execute("second", f"batch_size={size}", add=NOISY), loose=["l2_mean"])


def test_a_second_run_in_the_same_folder_does_nothing_again(execute, assert_same, forbid):
    first = execute("out", add=NOISY)
    forbid()
    assert_same(execute("out", add=NOISY), first)


def test_more_samples_reuse_the_finished_ones(execute, assert_same, monkeypatch):
    few = execute("out", "samples=16", add=NOISY)
    scored = set()
    score = System.score
    with monkeypatch.context() as watched:
        watched.setattr(System, "score", lambda self, *rest: scored.update(rest[0].samples) or score(self, *rest))
        more = execute("out", "samples=40", add=NOISY)
    assert len(scored) == 40 - 16
    assert set(more.n) == {40} != set(few.n)
    assert_same(more, execute("fresh", "samples=40", add=NOISY))


def test_fewer_samples_are_read_from_the_ledger(execute, assert_same, forbid):
    few = execute("few", "samples=16", add=NOISY)
    execute("out", "samples=32", add=NOISY)
    forbid(crafting=True)
    assert_same(execute("out", "samples=16", add=NOISY), few)


def test_another_defense_costs_no_crafting(execute, forbid):
    before = execute("out")
    forbid(scoring=False)
    table = execute("out", add=NOISY)
    assert set(table.status) == {"ok"}
    assert len(table) == len(before) + 3
    assert set(table.defense) == {*before.defense, "toy-noise"}


def test_a_model_may_be_registered_under_a_name_of_its_own(execute):
    register_model("mine")(lambda: ENTRIES["digits:convnet"].load())
    table = execute("out", "models=['mine']", "attacks=[{name='fgsm'}]")
    assert set(table.model) == {"mine"}
    assert set(table.status) == {"ok"}


@pytest.mark.parametrize("prior", ["none", "range"])
def test_a_data_free_attack_never_sees_the_tasks_images(execute, monkeypatch, prior):
    seen = []
    monkeypatch.setattr(Digits, "training", lambda self, *rest: pytest.fail("asked for training images"))
    load, search = Digits.load, GDUAP.search

    def guarded(self, model, data, *, rng):
        monkeypatch.setattr(Digits, "load", lambda *rest: pytest.fail("asked for evaluation images"))
        seen.append(data.validation)
        try:
            return search(self, model, data, rng=rng)
        finally:
            monkeypatch.setattr(Digits, "load", load)

    monkeypatch.setattr(GDUAP, "search", guarded)
    attack = f"{{name='gd-uap', prior='{prior}', max_iterations=3}}"
    assert set(execute("out", f"attacks=[{attack}]", "defenses=[]").status) == {"ok"}
    (validation,) = seen
    images, _ = load(Digits(), range(512))
    assert float(torch.cdist(validation.flatten(1), images.flatten(1)).min()) > 0.1


def test_a_data_prior_sees_training_images_only(execute, monkeypatch):
    asked = []
    training = Digits.training
    monkeypatch.setattr(Digits, "training", lambda self, count, *rest: asked.append(count) or training(self, count))
    table = execute("out", "attacks=[{name='gd-uap', prior='data', max_iterations=3}]", "defenses=[]")
    assert set(table.status) == {"ok"}
    assert len(asked) == 1


def test_a_huge_budget_fools_every_image_also_those_that_were_wrong_before(execute):
    """GFR asks for a changed prediction, so that is what the attack has to be after, and not the label."""
    attack = "attacks=[{name='pgd', steps=20, eps='60/255'}]"
    row = execute("out", attack, "defenses=[]", "samples=512", "batch_size=512").iloc[0]
    assert row.clean < 97
    assert row.gfr > 99


def test_the_bare_model_is_always_scored(execute):
    table = execute("out", "defenses=[]", "attacks=[{name='fgsm'}]")
    assert table.defense.tolist() == ["none"]
    assert table.clean_drop.tolist() == [0]
