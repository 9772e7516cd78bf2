"""Boards of one run and of several: what is said once, what is a column, what stands in one table."""

from dataclasses import replace
from pathlib import Path

import foolbench
import pandas as pd
import pytest
import torch
from foolbench.core import ConfigError, Model
from foolbench.datasets import SceneMaps
from foolbench.evaluation.board.board import make_board
from foolbench.evaluation.board.columns import columns
from foolbench.evaluation.board.heat import heatmap, transfers
from foolbench.evaluation.board.runs import read_run
from foolbench.evaluation.board.worth import UNBROKEN, verdict, worths
from foolbench.evaluation.report.makers import Makers
from foolbench.evaluation.report.pivot import pivot
from torch import nn

RESULTS = Path(__file__).parents[3] / "leaderboards" / "results"


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Two runs that differ in an attack, and one on fewer images."""
    runs = {"a": (["uniform-noise", "fgsm"], 24), "b": (["fgsm", {"name": "pgd", "steps": 2}], 24), "c": (["fgsm"], 16)}
    for name, (attacks, samples) in runs.items():
        folder = tmp_path_factory.mktemp("runs") / name
        foolbench.evaluate(
            "digits:convnet",
            "digits",
            attacks=attacks,
            defenses=["bit-depth", "median"],
            eps="40/255",
            samples=samples,
            out=folder,
            device="cpu",
            silent=True,
        )
        runs[name] = read_run(folder)
    return list(runs.values())


def test_what_is_equal_is_said_once_and_what_differs_is_a_column(tables):
    one = make_board(tables[:1])
    assert one.shared["n"] == 24
    assert one.shared["model"] == "digits:convnet"
    assert {"attack", "defense", "gfr"} <= set(one.differing)
    assert not set(one.shared) & set(one.differing)
    several = make_board([tables[0], tables[2]])
    assert "n" in several.differing
    assert "n" in [column.name for column in columns(several)]


def test_of_several_metrics_a_row_says_which_is_its_own(tmp_path):
    torch.manual_seed(0)
    net = Model(nn.Conv2d(3, 7, 1), task=SceneMaps().task, shape=(3, 128, 128), name="small")
    foolbench.evaluate(
        net, "scenes-segmentation", attacks="fgsm", eps="8/255", samples=2, out=tmp_path, device="cpu", silent=True
    )
    seen = [column.name for column in columns(make_board([read_run(tmp_path)])) if column.chosen]
    assert seen[:2] == ["metric", "attack"]


def test_runs_on_the_same_images_are_one_table_without_the_rows_of_both(tables):
    board = make_board(tables[:2])
    (part,) = board.parts
    names = [(row.attack, row.defense) for row in part.rows]
    assert len(names) == len(set(names)) == 9
    assert board.repeated == 3  # fgsm
    assert {attack for attack, _ in names} == {"uniform-noise", "pgd", "fgsm"}


def test_other_images_stand_in_a_table_of_their_own(tables):
    board = make_board(tables)
    assert [part.setting for part in board.parts] == ["n 24", "n 16"]
    assert set(board.frame()["setting"]) == {"n 24", "n 16"}


def test_another_version_is_a_column_and_another_table(tables):
    other = replace(tables[1], makers=Makers(last={**tables[1].makers.last, "torch": "9.9"}))
    board = make_board([tables[0], other])
    assert "torch" in board.differing
    assert board.repeated == 0
    assert [part.setting.split()[0] for part in board.parts] == ["torch", "torch"]


def test_a_csv_alone_has_the_rows_of_its_run(tables):
    path = tables[0].path / "leaderboard.csv"
    alone, whole = make_board([read_run(path)]), make_board(tables[:1])
    assert [(row.attack, row.defense, row["gfr"]) for row in alone.rows] == [
        (row.attack, row.defense, row["gfr"]) for row in whole.rows
    ]


def test_no_board_of_what_is_no_run(tmp_path):
    with pytest.raises(ConfigError, match="folder of a run"):
        read_run(tmp_path / "nothing")


def test_the_strongest_attack_that_knows_a_defense_says_what_it_is_worth(hostile_board, hostile_names):
    script, formula, _ = hostile_names
    part = next(part for part in hostile_board.parts if part.model == script)
    found = {worth.defense: worth for worth in worths(part.rows)}
    for name in ("bit-depth", formula):
        knowing = [row["gfr"] for row in part.rows if row.ok and row.defense == name and row["knowledge"] == "adaptive"]
        oblivious = [
            row["gfr"] for row in part.rows if row.ok and row.defense == name and row["knowledge"] == "oblivious"
        ]
        assert found[name].knowing["gfr"] == max(knowing)
        assert found[name].oblivious["gfr"] == max(oblivious)
    assert found["none"].knowing["gfr"] == max(row["gfr"] for row in part.rows if row.ok and row.defense == "none")
    ordered = [worth.knowing["gfr"] for worth in worths(part.rows)]
    assert ordered == sorted(ordered)
    best = next(worth for worth in worths(part.rows) if not worth.bare)
    assert f"{best.defense} holds best" in verdict(worths(part.rows))
    assert f"{best.knowing['gfr']:.1f}%" in verdict(worths(part.rows))


def test_what_no_attack_knows_is_not_called_good(hostile_board):
    linear = next(part for part in hostile_board.parts if part.model == "linear")  # nothing is crafted on it
    assert "nobody has tried" in verdict(worths(linear.rows))


def test_matrices_hold_every_row_at_its_place(hostile_board, hostile_names):
    script = hostile_names[0]
    part = next(part for part in hostile_board.parts if part.model == script)
    heat = heatmap(part)
    assert heat.cells["bit-depth", "pgd, adaptive"]["knowledge"] == "adaptive"
    assert heat.cells["bit-depth", "pgd, oblivious"]["knowledge"] == "oblivious"
    assert heat.cells["none", "pgd, adaptive"] == heat.cells["none", "pgd, oblivious"]
    matrix = next(heat for heat in transfers(hostile_board.parts) if heat.title == "pgd")
    assert matrix.lines == [script]
    assert set(matrix.columns) == {script, "linear"}
    assert matrix.cells[script, "linear"]["source_model"] == script
    assert transfers([part]) == []


def test_of_an_ensemble_its_own_row_counts_and_not_its_luckiest_member():
    (part,) = make_board([read_run(RESULTS / "defenses.csv")]).parts
    found = {worth.defense: worth.knowing for worth in worths(part.rows)}
    members = [row["gfr"] for row in part.rows if row.defense == "resize-pad" and row.ensemble]
    assert found["resize-pad"].attack == "adaptive-ensemble"
    assert found["resize-pad"]["gfr"] < max(members)


def test_matrices_and_the_strongest_are_of_means_over_seeds():
    board = make_board([read_run(RESULTS / "priors.csv")])
    single = {row.attack for row in board.rows if str(row["seed"]).isdigit()}
    assert len(single) == 15  # of three priors
    heats = [*map(heatmap, board.parts), *transfers(board.parts)]
    assert not single & {column for heat in heats for column in heat.columns}
    assert not [row for heat in heats for row in heat.cells.values() if row.attack in single]
    for part in board.parts:
        lucky = max((row for row in part.rows if row.ok), key=lambda row: row["gfr"])
        (bare,) = worths(part.rows)
        assert bare.knowing.attack not in single
        means = [row["gfr"] for row in part.rows if row.ok and row.attack not in single]
        assert bare.knowing["gfr"] == max(means) <= lucky["gfr"]


def test_a_table_alone_keeps_its_seeds(tmp_path):
    """Rows of single seeds are left to the table, and the mean is called by its attack's name."""
    run = read_run(RESULTS / "priors.csv")
    assert set(run.table.seed) == {"", "mean", "0", "1", "2", "3", "4"}
    columns = {column for _, lines in pivot(make_board([run]).frame()) for line in lines for column in line}
    assert not [name for name in columns if "seed" in name]
    assert any(name.startswith("gd-uap") for name in columns)


def row(defense, knowledge, gfr, flagged="", **more):
    """Of a table of one network and one attack."""
    told = {"model": "net", "attack": "pgd", "defense": defense, "knowledge": knowledge, "gfr": gfr, "flagged": flagged}
    return told | {"source_model": "net", "gfr_low": max(0.0, gfr - 5), "gfr_high": min(100.0, gfr + 5)} | more


@pytest.fixture
def parts_of(tmp_path):
    """`parts_of(rows)`: those of a board, all else of the rows being as in a shipped table."""

    def parts_of(rows):
        shipped = pd.read_csv(RESULTS / "k-wta.csv").iloc[0]
        usual = shipped.to_dict() | {"clean_drop": 0.0}
        table = pd.DataFrame([usual | {"cell": f"{at:016x}"} | one for at, one in enumerate(rows)])
        table.to_csv(tmp_path / "table.csv", index=False)
        return make_board([read_run(tmp_path / "table.csv")]).parts

    return parts_of


def test_no_defense_is_praised_that_is_worse_than_none(parts_of):
    (part,) = parts_of([row("none", "oblivious", 50.0), row("jpeg", "oblivious", 20.0), row("jpeg", "adaptive", 80.0)])
    assert verdict(worths(part.rows)).replace(UNBROKEN, "-") == (
        "No defense holds: the network alone is fooled at 50.0% [45-55], behind jpeg, the best of them, at 80.0% "
        "[75-85], at no loss of clean accuracy."
    )


def test_who_knows_a_defense_can_do_what_those_do_who_do_not(parts_of):
    (part,) = parts_of([row("none", "oblivious", 90.0), row("jpeg", "oblivious", 60.0), row("jpeg", "adaptive", 55.0)])
    (jpeg,) = [worth for worth in worths(part.rows) if not worth.bare]
    assert jpeg.strongest["gfr"] == 60
    assert "jpeg holds best: the strongest attack fools 60.0%" in verdict(worths(part.rows))


@pytest.mark.parametrize("flag", ["zero-gradients:100%", "oblivious-beats-adaptive"])
def test_what_led_its_attack_astray_wins_nothing(parts_of, flag):
    rows = [row("none", "oblivious", 90.0), row("mask", "adaptive", 2.0, flag), row("jpeg", "adaptive", 60.0)]
    (part,) = parts_of(rows)
    assert "jpeg holds best" in verdict(worths(part.rows))
    (part,) = parts_of(rows[:2])
    assert (
        f"What mask is worth nobody knows: the attack that knew it was led astray, the row bears 1 flag ({flag})"
        in (verdict(worths(part.rows)))
    )


def test_worth_is_told_for_each_budget(parts_of):
    small, large = {"norm": "linf", "eps": 0.01}, {"norm": "l2", "eps": 3.0}
    rows = [row("none", "oblivious", 10.0, **small), row("jpeg", "adaptive", 9.0, **small)]
    (part,) = parts_of([*rows, row("none", "oblivious", 99.0, **large), row("bit-depth", "adaptive", 90.0, **large)])
    assert [under.title for under in part.by_budget()] == ["net, linf, eps 0.01", "net, l2, eps 3"]
    assert [len(worths(under.rows)) for under in part.by_budget()] == [2, 2]
    assert {one.attack for one in part.rows} == {"pgd norm linf, eps 0.01", "pgd norm l2, eps 3"}


def test_attacks_of_several_budgets_say_theirs(parts_of):
    deepfool = row("none", "oblivious", 9.0, attack="deepfool", norm="l2", eps=2.0)
    (part,) = parts_of([row("none", "oblivious", 10.0), deepfool])
    assert [one.attack for one in part.rows] == ["pgd, linf 0.1", "deepfool, l2 2"]


@pytest.mark.parametrize("manifest", sorted(RESULTS.glob("*.manifest.json")), ids=lambda path: path.name)
def test_a_published_manifest_is_of_its_table_and_names_no_place_of_its_machine(manifest):
    run = read_run(manifest.with_name(manifest.name.replace(".manifest.json", ".csv")))
    assert run.recipe is not None
    assert run.command[:2] == ["foolbench", "run"]
    assert "--out" not in run.command
    assert not any(word.startswith("/") for word in run.command)
