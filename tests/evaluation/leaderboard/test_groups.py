"""Groups of attacks: the worst case over their members, and ensembles whose members go on where others failed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import pytest
import torch
from foolbench.attacks import FGSM, PGD
from foolbench.core import Attack, ConfigError, InputTransform, Model, register_attack, register_defense, register_model
from foolbench.core.ensemble import Ensemble
from foolbench.datasets import Digits
from foolbench.evaluation.leaderboard.scores import Scores
from foolbench.evaluation.leaderboard.united import worst_case
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.report.comparison import compare
from foolbench.models import ENTRIES
from foolbench.tasks import Recognition

TOP1 = Recognition(classes=10).metrics["top1"]

GROUP = (
    "attacks=[{name='fgsm', group='both'}, {name='pgd', steps=5, norm='linf', group='both'}, {name='uniform-noise'}]"
)


@pytest.fixture
def pair():
    @register_attack("toy-pair")
    @dataclass(frozen=True, kw_only=True)
    class Pair(Ensemble):
        """FGSM, then PGD."""

        access = "gradient"
        norms = ("linf", "l2")

        @property
        def members(self) -> Mapping[str, Attack]:
            facts = {"eps": self.eps, "norm": self.norm}
            return {"one-step": FGSM(**facts), "iterated": PGD(steps=5, **facts)}

    return Pair


def scores(gfr, robust, sample=(0, 1, 2), linf=0.1):
    costs = {"forwards": 2.0, "backwards": 1.0, "seconds": 0.5}
    columns = {"sample": sample, "clean": 1.0, "gfr": gfr, "floor": 0.0, "robust": robust, "linf": linf, "l2": 1.0}
    return Scores(metric=TOP1, images=pd.DataFrame(columns | costs))


def test_worst_case_by_hand():
    members = [scores([1, 0, 0], [0, 1, 1], linf=0.1), scores([0, 0, 1], [1, 1, 0], linf=0.2)]
    found = worst_case(members, chance=False).images
    assert found["sample"].tolist() == [0, 1, 2]
    assert found.gfr.tolist() == [1, 0, 1]
    assert found.robust.tolist() == [0, 1, 0]
    assert found.linf.tolist() == [0.1, 0.1, 0.2]  # those of the attack that fooled, the first where none did
    assert found.forwards.tolist() == [4, 4, 4]


def test_a_group_has_a_row_a_defense_after_its_last_member(execute):
    table = execute("out", GROUP, "defenses=[{name='median'}]")
    assert table.attack.tolist() == ["fgsm"] * 2 + ["pgd"] * 2 + ["both"] * 2 + ["uniform-noise"] * 2
    assert set(table.status) == {"ok"}
    for _, part in table.groupby("defense"):
        rows = part.set_index("attack")
        assert rows.gfr["both"] >= max(rows.gfr["fgsm"], rows.gfr["pgd"])
        assert rows.robust["both"] <= min(rows.robust["fgsm"], rows.robust["pgd"])
        assert rows.forwards_mean["both"] == rows.forwards_mean["fgsm"] + rows.forwards_mean["pgd"]
        assert rows.access["both"] == "gradient"


@pytest.mark.usefixtures("broken_attack")
def test_a_failed_member_fails_its_group(execute):
    attacks = "attacks=[{name='fgsm', group='both'}, {name='toy-broken', group='both'}]"
    table = execute("out", attacks, "defenses=[]").set_index("attack")
    assert table.status.to_dict() == {"fgsm": "ok", "toy-broken": "error", "both": "error"}
    assert "toy-broken: RuntimeError: no luck today" in table.error["both"]
    assert pd.isna(table.gfr["both"])


@pytest.mark.parametrize(
    ("attacks", "message"),
    [
        ("{name='fgsm', group='g'}, {name='pgd', eps=0.5, group='g'}", "one threat in group 'g'"),
        ("{name='fgsm', group='g'}, {name='pgd', norm='l2', eps=1.0, group='g'}", "one threat in group 'g'"),
        ("{name='fgsm', group='pgd'}, {name='pgd', group='pgd'}", "name of an attack"),
        ("{name='toy-pair', group='g'}", "a group of its own"),
        ("{name='autoattack', steps=1}, {name='autoattack', steps=2}", "autoattack is listed twice under"),
    ],
)
def test_groups_that_make_no_sense(recipe_file, pair, attacks, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe(str(recipe_file), [f"attacks=[{attacks}]"])


def test_an_ensemble_runs_each_member_on_the_survivors_only(execute, pair):
    table = execute("out", "attacks=[{name='toy-pair', eps='20/255'}]", "defenses=[{name='median'}]", "samples=128")
    bare = table[table.defense == "none"].set_index("attack")
    assert bare.index.tolist() == ["toy-pair/one-step", "toy-pair/iterated", "toy-pair"]
    first, second, worst = bare.gfr
    assert 0 < first < second == worst
    survivors = 1 - first / 100
    assert bare.backwards_mean["toy-pair/iterated"] == pytest.approx(5 * survivors, abs=0.01)
    through = table[table.defense == "median"].set_index("attack").gfr
    assert through["toy-pair"] >= max(through["toy-pair/one-step"], through["toy-pair/iterated"])


def test_an_ensemble_in_python_does_what_it_does_in_a_recipe(execute, pair):
    model, (x, _) = ENTRIES["digits:convnet"].load(), Digits().load(range(64))
    fooled = model.predict(pair(eps="20/255")(model, x, rng=0)) != model.predict(x)
    table = execute("out", "attacks=[{name='toy-pair', eps='20/255'}]", "defenses=[]", "samples=64", "sampling=first")
    rate = table.set_index("attack").gfr["toy-pair"]
    assert float(100 * fooled.float().mean()) == pytest.approx(rate, abs=100 / 64 + 0.01)  # other random starts


def test_an_ensemble_continues_where_a_run_was_broken_off(execute, assert_same, pair, monkeypatch):
    attacks = ("attacks=[{name='toy-pair', eps='20/255'}]", "defenses=[]")
    whole = execute("whole", *attacks)

    def stop(*arguments, **options):
        raise RuntimeError("pulled the plug")

    with monkeypatch.context() as broken:
        broken.setattr(PGD, "perturb", stop)
        assert set(execute("out", *attacks).status) == {"ok", "error"}
    monkeypatch.setattr(FGSM, "perturb", stop)  # its images lie on the disk
    assert_same(execute("out", *attacks), whole)


class Scaled(torch.nn.Module):
    """One hundredth of its input."""

    def forward(self, x):
        return x / 100


def test_a_model_that_answers_with_probabilities_or_says_all_classes_alike_is_flagged(execute):
    @register_defense("toy-identity")
    @dataclass(frozen=True, kw_only=True)
    class Identity(InputTransform):
        differentiable = True
        randomized = False

        def transform(self, x, *, rng):
            return x

    def with_last(last):
        net = ENTRIES["digits:convnet"].load()
        whole = torch.nn.Sequential(net.net, last)
        return Model(whole, task=net.task, mean=(0.5,), std=(0.5,), shape=(1, 8, 8))

    register_model("softmaxed")(lambda: with_last(torch.nn.Softmax(dim=1)))
    register_model("flat")(lambda: with_last(Scaled()))
    table = execute(
        "out",
        "models=['softmaxed', 'flat', 'digits:convnet']",
        "attacks=[{name='fgsm'}]",
        "defenses=[{name='toy-identity'}]",
    )
    assert table["flagged"].fillna("").tolist() == ["probabilities"] * 2 + ["flat-outputs"] * 2 + [""] * 2


def test_of_chance_the_strongest_member_counts():
    weak, strong = scores([0.5, 0, 0], [0.5, 1, 1]), scores([0, 0.5, 0.5], [1, 0.5, 0.5])
    found = worst_case([weak, strong], chance=True).images  # its floor is 0, by chance as well
    assert found.gfr.tolist() == [0, 0.5, 0.5]
    assert found.robust.tolist() == [1, 0.5, 0.5]


def test_of_chance_no_member_is_worse_in_any_rate():
    """The attack that fools most need not be the one after which least is right."""
    fooling, harming = scores([1, 1, 0.5], [0.5, 0.5, 1]), scores([0.5, 0.5, 0.5], [0, 0, 0.5])
    found = worst_case([fooling, harming], chance=True).images
    assert found.gfr.tolist() == [1, 1, 0.5]
    assert found.robust.tolist() == [0, 0, 0.5]


def test_of_chance_the_last_member_of_an_ensemble_counts():
    """Its points were chosen by other draws; the luckiest of all members would be chosen by these."""
    lucky, last = scores([1, 1, 0.5], [0, 0, 0.5]), scores([0.5, 1, 0.5], [0.5, 0, 0.5])
    assert worst_case([lucky, last], chance=True, last=True).images.gfr.tolist() == [0.5, 1, 0.5]
    assert worst_case([lucky, last], chance=False, last=True).images.gfr.tolist() == [1, 1, 0.5]


def test_what_a_group_fools_beyond_ten_steps_of_pgd(execute, pair):
    attacks = "attacks=[{name='pgd', steps=10}, {name='pgd', steps=2}, {name='toy-pair'}]"
    table = execute("out", attacks, "defenses=[{name='median'}]", "knowledge=['oblivious', 'adaptive']")
    rates = table.set_index(["attack", "attack_params", "defense", "knowledge"]).gfr
    groups = table[table.attack == "toy-pair"]
    assert table.gfr_over_pgd10.notna().sum() == len(groups) == 3
    for _, row in groups.iterrows():
        ten = rates[rates.index.get_level_values(1).str.contains('"steps":10')]
        expected = row.gfr - float(ten.xs("pgd").xs((row.defense, row.knowledge), level=(1, 2)).iloc[0])
        assert row.gfr_over_pgd10 == pytest.approx(expected, abs=0.011)


def test_groups_without_pgd_have_no_lead_over_it(execute, pair):
    assert execute("out", "attacks=[{name='toy-pair'}]", "defenses=[]").gfr_over_pgd10.isna().all()


def test_a_member_of_another_budget_is_refused():
    class Larger(Ensemble):
        norms = ("linf",)
        access = "gradient"

        @property
        def members(self) -> Mapping[str, Attack]:
            return {"honest": FGSM(eps=self.eps), "greedy": PGD(eps=3 * self.eps)}

    with pytest.raises(ConfigError, match=r"Larger/greedy under .*0\.1.*, got .*0\.3"):
        Larger(eps=0.1)


def test_chance_makes_no_worst_case(execute):
    harmless = ", ".join(f"{{name='{name}', group='all'}}" for name in ("uniform-noise", "random-sign", "fgsm"))
    noise = "defenses=[{name='random-noise', scale=0.4}]"
    table = execute("out", f"attacks=[{harmless}]", noise, "draws=3", "samples=200", "threat.eps=1e-4")
    behind = table[table.defense == "random-noise"].set_index("attack")
    assert behind.floor["all"] > 5
    assert behind.gfr["all"] == behind.gfr.drop("all").max()
    assert behind.forwards_mean["all"] == pytest.approx(behind.forwards_mean.drop("all").sum(), abs=0.02)


def test_of_an_ensemble_that_did_not_meet_a_random_system_its_strongest_member_counts(execute, pair):
    """There its last member was handed nothing: it went on from points that are strong on the bare network."""
    noise = "defenses=[{name='random-noise', scale=0.4}]"
    table = execute("out", "attacks=[{name='toy-pair'}]", noise, "draws=3", "samples=200", "threat.eps='10/255'")
    behind = table[table.defense == "random-noise"].set_index("attack")
    assert behind.gfr["toy-pair"] == behind.gfr.drop("toy-pair").max()


def test_rows_say_what_their_worst_case_is_over(execute, tmp_path):
    """So that nobody takes one of other members, or of a shorter search, for it."""
    attacks = (
        "{name='fgsm', group='g'}, {name='pgd', steps=2, group='g'}, {name='adaptive-ensemble', steps=STEPS, queries=1}"
    )
    for steps in (1, 2):
        listed = f"attacks=[{attacks.replace('STEPS', str(steps))}]"
        table = execute(f"steps {steps}", listed, "defenses=[]", "samples=8").set_index("attack")
        told = {name: json.loads(table.attack_params[name]) for name in ("g", "adaptive-ensemble")}
        assert [list(one) for one in told["g"]["worst_of"]] == [["fgsm"], ["pgd"]]
        assert told["g"]["worst_of"][1]["pgd"]["steps"] == 2
        assert told["adaptive-ensemble"]["steps"] == steps
    compared = set(compare(tmp_path / "steps 1", tmp_path / "steps 2").setting)
    assert any(" g " in f"{setting} " for setting in compared)
    assert not any("adaptive-ensemble x" in setting for setting in compared)


def test_a_gap_is_between_equal_attacks_not_between_groups_of_one_name(execute):
    """Here the group is of other attacks where they know the defense: what that is worth, nobody can say of it."""
    attacks = (
        "attacks=[{name='pgd', steps=1, group='g', knowledge=['oblivious']}, {name='pgd', steps=3, group='g', "
        "knowledge=['adaptive']}, {name='pgd', steps=2, group='h', knowledge=['oblivious', 'adaptive']}]"
    )
    table = execute("out", attacks, "defenses=[{name='median'}]").set_index(["attack", "knowledge", "defense"])
    assert pd.isna(table.gfr_gap["g", "adaptive", "median"])
    gap = table.gfr["h", "adaptive", "median"] - table.gfr["h", "oblivious", "median"]
    assert table.gfr_gap["h", "adaptive", "median"] == pytest.approx(gap, abs=0.011)


def test_pgd_of_ten_steps_is_the_one_of_which_nothing_else_was_chosen(execute):
    group = "{name='pgd', steps=12, group='g'}"
    other = "{name='pgd', steps=10, restarts=2}, {name='pgd', steps=10, step_size=1e-6, random_start=false}"
    table = execute("out", f"attacks=[{{name='pgd', steps=10}}, {other}, {group}]", "defenses=[]")
    (beyond,), rates = table.gfr_over_pgd10.dropna(), table.gfr
    assert beyond == pytest.approx(rates[table.attack == "g"].item() - rates[0], abs=0.011)
    assert rates[0] > rates[2] == 0
    assert execute("none", f"attacks=[{other}, {group}]", "defenses=[]").gfr_over_pgd10.isna().all()


@pytest.mark.parametrize("order", [1, -1])
def test_where_no_attack_fools_the_order_of_attacks_says_nothing(order):
    """Of equal ones the image counts that is right least, then the one that is not corrected, then not detected."""
    gfr = [0, 0, 0, 1]
    members = [
        scores(gfr, [1, 1, 0, 0], range(4)).with_columns(corrected=[1.0, 1, 0, 0], detected=[0.0, 0, 1, 0]),
        scores(gfr, [0, 1, 0, 0], range(4)).with_columns(corrected=[1.0, 0, 0, 0], detected=[0.0, 1, 0, 0]),
    ]
    found = worst_case(members[::order], chance=False).images
    assert found.robust.tolist() == [0, 1, 0, 0]
    assert found.corrected.tolist() == [1, 0, 0, 0]
    assert found.detected.tolist() == [0, 1, 0, 0]
