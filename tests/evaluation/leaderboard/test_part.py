"""A row leads back to the part of a recipe that makes it, and to little else."""

import csv
from contextlib import closing
from pathlib import Path

import pytest
from foolbench.core import ConfigError
from foolbench.evaluation.grid.facts import Facts
from foolbench.evaluation.grid.identity import identity
from foolbench.evaluation.leaderboard.part import crafting, part_of, together
from foolbench.evaluation.leaderboard.source import ScoredRun
from foolbench.evaluation.leaderboard.table import leaderboard
from foolbench.evaluation.ledger.ledger import Ledger
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.report.claims import NAMED_BY, read_rows
from foolbench.evaluation.report.text import for_csv
from foolbench.tasks import Recognition

RESULTS = Path(__file__).parents[3] / "leaderboards" / "results"
OVERRIDES = [
    "samples=5",
    "models=['digits:convnet', {name='mine:net'}]",
    "source_models=['digits:convnet']",
    "knowledge=['oblivious', 'adaptive']",
    "attacks=[{name='pgd', steps=3, group='both'}, {name='pgd', steps=4, group='both'}, {name='uniform-noise'},"
    " {name='autoattack', knowledge=['adaptive']}, {name='gd-uap', eps='9/255'}, {name='gd-uap'}]",
    "defenses=[{name='median'}, {name='jpeg', quality=50}, {name='jpeg'}]",
]


@pytest.fixture
def rows_of(tmp_path):
    """`rows_of(recipe)` is its table as a file has it, before anything is run."""

    def rows_of(recipe):
        names = {name: identity(recipe, "data", None) for name in recipe.networks}
        facts = Facts(task=Recognition(classes=10), samples=tuple(range(recipe.samples)), identities=names)
        with closing(Ledger(tmp_path / "empty.sqlite")) as ledger:
            for_csv(leaderboard(ScoredRun(recipe=recipe, facts=facts, ledger=ledger))).to_csv(
                tmp_path / "table.csv", index=False
            )
        return read_rows(tmp_path / "table.csv")

    return rows_of


@pytest.fixture
def recipe(recipe_file, monkeypatch):
    monkeypatch.setattr("foolbench.evaluation.opening.consistency.models.bind", lambda name, parameters: None)
    return load_recipe(str(recipe_file), OVERRIDES)


def name_of(row):
    return tuple(row[column] for column in NAMED_BY)


def test_every_row_is_among_those_of_its_part_by_the_names_that_it_has_in_the_whole(recipe, rows_of):
    """So the same random streams: what is left out changes no number."""
    rows = rows_of(recipe)
    assert len(rows) > 100
    for row in rows:
        part = part_of(recipe, row)
        of_part = rows_of(part)
        same = [one for one in of_part if name_of(one) == name_of(row)]
        assert [(one["cell"], one["crafted"]) for one in same] == [(row["cell"], row["crafted"])]
        assert {one["model"] for one in of_part} == {row["model"]}
        assert {one["defense"] for one in of_part} <= {"none", row["defense"]}
        assert len(part.attacks) == (2 if row["attack"] == "both" else 1)


def test_defenses_of_one_attack_go_together(recipe, rows_of):
    oblivious = [row for row in rows_of(recipe) if row["knowledge"] == "oblivious" and row["attack"] == "uniform-noise"]
    parts = [part_of(recipe, row) for row in oblivious if row["model"] == "digits:convnet"]
    assert len(parts) == 4
    assert len(set(map(crafting, parts))) == 1
    assert [entry.parameters.get("quality") for entry in together([*parts, *parts]).defenses] == [None, 50, None]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": "digits:mlp"}, "no network 'digits:mlp'"),
        ({"source_model": "digits:mlp"}, "no network 'digits:mlp'"),
        ({"attack": "fgsm"}, "no attack fgsm"),
        ({"attack_params": "{}"}, "no attack pgd {}"),
        ({"eps": "0.5"}, "eps = 0.5"),
        ({"norm": "l2"}, "in l2"),
        ({"knowledge": "all"}, "no attack pgd .*, all"),
        ({"defense": "bit-depth"}, "no defense bit-depth"),
        ({"defense_params": '{"size":9}'}, 'no defense median {"size":9}'),
    ],
)
def test_what_a_recipe_does_not_make_is_named(recipe, rows_of, change, says):
    row = next(row for row in rows_of(recipe) if (row["attack"], row["defense"]) == ("pgd", "median"))
    with pytest.raises(ConfigError, match=f"tiny-v1 .*{says}"):
        part_of(recipe, {**row, **change})


@pytest.mark.parametrize("name", ["quickstart", "priors", "defenses"])
def test_the_published_tables_are_of_the_shipped_recipes(name):
    recipe = load_recipe(name)
    with (RESULTS / f"{name}.csv").open() as file:
        for row in csv.DictReader(file):
            part = part_of(recipe, row)
            assert [entry.label for entry in part.models] == [row["model"]]
