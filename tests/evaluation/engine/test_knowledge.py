"""Oblivious and adaptive attacks in one table: what each is crafted on, what it is scored on, and the gap."""

from dataclasses import dataclass

import pandas as pd
import pytest
from foolbench.attacks import PGD
from foolbench.core import Defense, Model, register_defense
from foolbench.datasets import Digits
from foolbench.defenses.gaussian import GaussianSmoothing
from foolbench.defenses.gradients import adaptive
from foolbench.evaluation.grid.grid import spanned
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.report.tables import markdown
from torch import nn

BOTH = "knowledge=['oblivious', 'adaptive']"
PGD_ONLY = "attacks=[{name='pgd', steps=5, norm='linf'}]"
GAUSSIAN = "defenses=[{name='gaussian', sigma=0.8}]"


def grid(recipe_file, *overrides):
    recipe = load_recipe(str(recipe_file), list(overrides))
    return [
        (job.attack_name, job.through.name, [cell.defense.name for cell in row], {cell.knowledge for cell in row})
        for job, row in spanned(recipe)
    ]


def test_the_grid_of_both(recipe_file):
    bare = ["none", "bit-depth", "median"]
    found = grid(recipe_file, BOTH, "attacks=[{name='uniform-noise'}, {name='fgsm'}]")
    assert found == [
        ("uniform-noise", "none", bare, {"oblivious"}),  # asks the model nothing: knowing the defense is no help
        ("fgsm", "none", bare, {"oblivious"}),
        ("fgsm", "bit-depth", ["bit-depth"], {"adaptive"}),
        ("fgsm", "median", ["median"], {"adaptive"}),
    ]


def test_adaptive_alone_still_scores_the_bare_model(recipe_file):
    found = grid(recipe_file, "knowledge=['adaptive']", "attacks=[{name='fgsm'}]")
    assert [(through, row) for _, through, row, _ in found] == [
        ("none", ["none"]),
        ("bit-depth", ["bit-depth"]),
        ("median", ["median"]),
    ]


def test_rows_are_those_of_the_attack_through_the_defense(execute, digits_model):
    table = execute("out", BOTH, PGD_ONLY, GAUSSIAN, "seed=3").set_index(["defense", "knowledge"])
    assert list(table.index) == [("none", "oblivious"), ("gaussian", "oblivious"), ("gaussian", "adaptive")]
    assert set(table.status) == {"ok"}
    x = Digits().load(range(24))[0]
    attack, defense = PGD(eps="40/255", steps=5), GaussianSmoothing(sigma=0.8)
    defended = defense.defend(digits_model)
    clean = defended.predict(x)
    rates = {}
    for knowledge, target in (("oblivious", digits_model), ("adaptive", adaptive(defense, digits_model))):
        fooled = [defended.predict(attack(target, x, rng=seed)) != clean for seed in range(4)]
        rates[knowledge] = [100 * float(one.float().mean()) for one in fooled]
    for knowledge, found in rates.items():  # the run's own draws are others
        assert min(found) - 15 <= table.gfr["gaussian", knowledge] <= max(found) + 15
    assert min(rates["adaptive"]) > max(rates["oblivious"]) + 10
    gap = table.gfr["gaussian", "adaptive"] - table.gfr["gaussian", "oblivious"]
    assert table.gfr_gap["gaussian", "adaptive"] == pytest.approx(gap, abs=0.01)
    assert table.gfr_gap.isna().sum() == 2
    assert table.clean["gaussian", "adaptive"] == table.clean["gaussian", "oblivious"]


def test_the_table_shows_both_and_the_gap(execute):
    text = markdown(execute("out", BOTH, PGD_ONLY, GAUSSIAN))
    lines = [[part.strip() for part in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert lines[0][:3] == ["defense", "knowledge", "clean"]
    assert [line[:2] for line in lines[2:]] == [
        ["none", "oblivious"],
        ["gaussian", "oblivious"],
        ["gaussian", "adaptive"],
    ]
    assert "(+" in lines[-1][-1]
    assert "(+" not in lines[-2][-1]
    assert "know the defense" in text
    alone = markdown(execute("other", PGD_ONLY, GAUSSIAN))
    assert "knowledge" not in alone


def test_an_attack_may_know_something_else_than_the_others(recipe_file):
    attacks = "attacks=[{name='fgsm'}, {name='pgd', knowledge=['adaptive']}]"
    found = grid(recipe_file, BOTH, attacks, "defenses=[{name='median'}]")
    assert [(name, through, row) for name, through, row, _ in found] == [
        ("fgsm", "none", ["none", "median"]),
        ("fgsm", "median", ["median"]),
        ("pgd", "none", ["none"]),
        ("pgd", "median", ["median"]),
    ]


def test_groups_have_a_worst_case_for_each_knowledge(execute):
    group = "attacks=[{name='fgsm', group='both'}, {name='pgd', steps=5, group='both'}]"
    table = execute("out", BOTH, group, GAUSSIAN)
    worst = table[table.attack == "both"].set_index(["defense", "knowledge"])
    assert list(worst.index) == [("none", "oblivious"), ("gaussian", "oblivious"), ("gaussian", "adaptive")]
    for key, row in worst.iterrows():
        members = table[(table.attack != "both")].set_index(["defense", "knowledge"]).loc[[key]]
        assert row.gfr >= members.gfr.max()


def test_an_adaptive_ensemble_goes_on_where_its_members_failed(execute):
    table = execute("out", BOTH, "attacks=[{name='autoattack', steps=3, queries=10}]", GAUSSIAN, "samples=8")
    known = table[table.knowledge == "adaptive"].set_index("attack").gfr
    assert list(known.index)[-1] == "autoattack"
    assert known.iloc[:-1].is_monotonic_increasing
    assert known["autoattack"] == known.iloc[:-1].max()


def test_the_adaptive_ensemble_beats_ten_steps_of_pgd(execute):
    """On the two kinds of system that it treats differently."""
    attacks = "attacks=[{name='pgd', steps=10}, {name='adaptive-ensemble', steps=20, queries=10}]"
    defenses = "defenses=[{name='jpeg'}, {name='random-noise', scale=0.1}]"
    settings = ("samples=32", "threat.eps=16/255", "eot_draws=2", "draws=10", "knowledge=['adaptive']")
    table = execute("out", attacks, defenses, *settings)
    whole = table[table.attack == "adaptive-ensemble"].set_index("defense")
    assert set(table.status) == {"ok"}
    assert whole.gfr_over_pgd10["jpeg"] > 0
    assert whole.gfr_over_pgd10["random-noise"] > -3  # ten draws of 64 images leave a point of chance
    members = table[table.attack.str.startswith("adaptive-ensemble/")]
    jpeg, noise = (members[members.defense == name].set_index("attack") for name in ("jpeg", "random-noise"))
    assert jpeg.gfr.is_monotonic_increasing
    assert whole.gfr["jpeg"] == jpeg.gfr.max()
    assert whole.gfr["random-noise"] == noise.gfr["adaptive-ensemble/rays"]
    spent = "adaptive-ensemble/all-draws"
    assert jpeg.backwards_mean[spent] == 0 < noise.backwards_mean[spent]


def test_what_has_no_gradient_of_its_own_can_be_attacked(execute):
    table = execute("out", BOTH, PGD_ONLY, "defenses=[{name='jpeg'}, {name='bit-depth'}]")
    assert set(table.status) == {"ok"}
    assert (table[table.knowledge == "adaptive"].backwards_mean > 0).all()


def test_eot_draws_are_paid_for(execute):
    noise = "defenses=[{name='random-noise'}]"
    one, four = (
        execute(f"out{draws}", BOTH, PGD_ONLY, noise, f"eot_draws={draws}", "draws=2").set_index("knowledge")
        for draws in (1, 4)
    )
    assert four.backwards_mean["adaptive"] == 4 * one.backwards_mean["adaptive"]
    assert four.gfr["oblivious"].tolist() == one.gfr["oblivious"].tolist()


def test_the_same_run_in_other_batches_is_the_same_table(execute):
    settings = (BOTH, PGD_ONLY, "defenses=[{name='compose', steps=[{name='random-noise'}, {name='jpeg'}]}]", "draws=2")
    first = execute("first", *settings)
    other_batches = execute("other", *settings, "batch_size=7")
    columns = [name for name in first.columns if name not in ("seconds", "run", "recipe")]
    pd.testing.assert_frame_equal(first[columns], other_batches[columns])


def test_universal_attacks_are_crafted_through_the_defense_too(execute, tmp_path):
    table = execute("out", BOTH, "attacks=[{name='gd-uap', max_iterations=20}]", "defenses=[{name='jpeg'}]")
    assert set(table.status) == {"ok"}
    names = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "out" / "perturbations").glob("*.safetensors"))
    assert names == ["digits-convnet-gd-uap-none", "digits-convnet-gd-uap-none-jpeg"]


def test_universal_attacks_are_crafted_through_random_defenses(execute):
    attacks = [
        "{name='gd-uap', max_iterations=20}",
        "{name='universal-pgd', max_iterations=20}",
        "{name='uap', passes=1}",
    ]
    noise = "defenses=[{name='random-noise'}]"
    table = execute("out", BOTH, f"attacks=[{', '.join(attacks)}]", noise, "draws=2", "eot_draws=2", "samples=8")
    assert set(table.status) == {"ok"}, table.error.tolist()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("knowledge=['psychic']", "knowledge"),
        ("knowledge=[]", "knowledge"),
        ("eot_draws=0", "eot_draws"),
        ("defenses=[{name='compose', steps=[]}]", "at least one step"),
        ("defenses=[{name='compose', steps=[{quality=3}]}]", "a table with a name"),
        ("defenses=[{name='compose', steps=[{name='jpg'}]}]", "did you mean 'jpeg'"),
        ("defenses=[{name='compose', steps=[{name='jpeg', quality=0}]}]", "quality in 1..100"),
    ],
)
def test_bad_recipes_are_one_sentence(foolbench, recipe_file, override, sentence):
    code, _, err = foolbench("plan", recipe_file, "--set", override)
    assert code == 2
    assert sentence in " ".join(err.split())
    assert "Traceback" not in err


@dataclass(frozen=True, kw_only=True)
class Negation(Defense):
    """A defense of the model, not of the images; it states no facts."""

    def defend(self, model):
        return Model(nn.Sequential(model.net, _Negative()), task=model.task, shape=model.shape, name="negated")


class _Negative(nn.Module):
    def forward(self, x):
        return -x


def test_a_defense_of_the_model_is_scored(execute):
    register_defense("negation")(Negation)
    table = execute("out", PGD_ONLY, "defenses=[{name='negation'}]", "draws=1").set_index("defense")
    assert set(table.status) == {"ok"}
    assert table.clean["negation"] < 10
