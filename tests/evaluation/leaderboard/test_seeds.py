"""An attack crafted with several seeds: a row for each, and one for their mean."""

import json
import statistics

import pandas as pd
import pytest
from foolbench.core import ConfigError
from foolbench.evaluation.leaderboard.scores import Scores
from foolbench.evaluation.leaderboard.united import mean_over_seeds
from foolbench.evaluation.opening.consistency import check_consistency
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.report.pivot import pivot
from foolbench.tasks import Recognition

TOP1 = Recognition(classes=10).metrics["top1"]

NOISE = "attacks=[{name='random-sign', seeds=3}, {name='random-sign', seeds=2, eps=0.3}, {name='fgsm'}]"


@pytest.fixture
def table(execute):
    return execute("out", NOISE, "defenses=[{name='median'}]")


def test_each_seed_has_a_row_and_their_mean_one_after_the_last(table):
    bare = table[table.defense == "none"]
    assert bare.seed.tolist() == ["0", "1", "2", "mean", "0", "1", "mean", *bare.seed[bare.attack == "fgsm"]]
    assert bare.seed[bare.attack == "fgsm"].isna().all()
    assert table.defense.value_counts().to_dict() == {"none": 8, "median": 8}
    for _, part in table[table.attack == "random-sign"].groupby(["defense", "eps"]):
        seeds, mean = part[part.seed != "mean"], part[part.seed == "mean"].iloc[0]
        assert mean.gfr == pytest.approx(seeds.gfr.mean(), abs=0.01)
        assert mean.robust == pytest.approx(seeds.robust.mean(), abs=0.01)
        assert mean.gfr_seeds_sd == pytest.approx(statistics.stdev(seeds.gfr), abs=0.01)
        assert mean.cell.split() == seeds.cell.tolist()
        assert mean.crafted.split() == seeds.crafted.tolist()


def test_seeds_differ_and_the_first_is_that_of_an_attack_alone(table, execute, tmp_path):
    of_signs = table[(table.defense == "none") & (table.eps == 0.3) & (table.seed != "mean")]
    images = [sorted((tmp_path / "out" / kept).iterdir())[0].read_bytes() for kept in of_signs.crafted]
    assert images[0] != images[1]
    alone = execute("alone", NOISE.replace(", seeds=3", "").replace(", seeds=2", ""))
    once = alone[(alone.defense == "none") & (alone.eps == 0.3)].iloc[0]
    assert (once.gfr, once.cell) == (of_signs.gfr.iloc[0], of_signs.cell.iloc[0])


def test_small_tables_show_the_mean(table):
    ((_, lines),) = pivot(table)
    assert list(lines[0])[-3:] == ["random-sign eps 40/255", "random-sign eps 0.3", "fgsm, linf 40/255"]
    assert lines[0]["random-sign eps 0.3"].startswith(
        f"{table[(table.seed == 'mean') & (table.eps == 0.3)].gfr.iloc[0]:.1f}"
    )


def test_a_group_is_over_all_seeds(execute):
    table = execute("out", "attacks=[{name='random-sign', seeds=3, eps=0.3, group='best'}]", "defenses=[]")
    assert table.attack.tolist() == ["random-sign"] * 4 + ["best"]
    assert table.seed.isna().tolist() == [False] * 4 + [True]
    assert table.gfr.iloc[-1] >= table.gfr.iloc[:3].max()
    told = json.loads(table.attack_params.iloc[-1])["worst_of"]
    assert [one["random-sign"]["seed"] for one in told] == [0, 1, 2]


def test_mean_by_hand():
    columns = [
        {"sample": [4, 9], "gfr": [1.0, 0.0], "linf": [0.1, 0.2], "seconds": 3.0},
        {"sample": [4, 9], "gfr": [1.0, 1.0], "linf": [0.3, 0.1], "seconds": 1.0},
    ]
    found = mean_over_seeds([Scores(metric=TOP1, images=pd.DataFrame(each)) for each in columns]).images
    assert found["sample"].tolist() == [4, 9]
    assert found.gfr.tolist() == [1.0, 0.5]
    assert found.linf.tolist() == [0.3, 0.2]
    assert found.seconds.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        ("{name='fgsm', seeds=2}", "fgsm has no part in chance"),
        ("{name='autoattack', seeds=2}", "autoattack is an ensemble"),
        ("{name='random-sign', seeds=0}", "seeds"),
        ("{name='random-sign', seeds=1.5}", "seeds"),
    ],
)
def test_seeds_that_make_no_sense_are_refused(recipe_file, attack, message):
    with pytest.raises(ConfigError, match=message):
        check_consistency(load_recipe(str(recipe_file), [f"attacks=[{attack}]"]))


def test_one_seed_and_their_mean_are_verified(foolbench, recipe_file, tmp_path):
    out = tmp_path / "out"
    foolbench("run", recipe_file, "--set", NOISE, "--out", out)
    code, told, _ = foolbench("verify", out, "--row", 2, "--row", 3)
    assert code == 0
    assert told.count("holds") >= 2
