"""What several runs have in common and what tells them apart, by hand-made tables, curves and layers."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from foolbench.evaluation.board import figures as figures_module
from foolbench.evaluation.board.board import make_board
from foolbench.evaluation.board.charts import Chart
from foolbench.evaluation.board.curves import curve_charts
from foolbench.evaluation.board.figures import figures
from foolbench.evaluation.board.layers import layer_charts
from foolbench.evaluation.board.page import page
from foolbench.evaluation.board.runs import Run
from foolbench.evaluation.board.sweeps import sweep_charts
from foolbench.evaluation.leaderboard.columns import COLUMNS
from foolbench.evaluation.leaderboard.curve import WORST, Curve
from foolbench.evaluation.leaderboard.layers import Moved
from foolbench.evaluation.leaderboard.stats import Estimate
from matplotlib.figure import Figure

COMMON = {
    "recipe": "toy-v1",
    "task": "recognition",
    "dataset": "digits",
    "n": 8,
    "model": "net",
    "source_model": "net",
    "model_sha": "aa",
    "behaviour": "bb",
    "knowledge": "oblivious",
    "norm": "linf",
    "eps": 0.1,
    "defense": "none",
    "defense_params": "{}",
    "attack_params": "{}",
    "metric": "top1",
    "unit": "percent",
    "clean": 90.0,
    "robust": 40.0,
    "flagged": "",
    "status": "ok",
    "access": "gradient",
}


def run(path, *rows, **more):
    """Each row by its attack and its rate, or by all that is not as usual."""
    told = [
        COMMON | {"cell": f"{path}{at}", "gfr_low": row["gfr"] - 5, "gfr_high": row["gfr"] + 5} | row
        for at, row in enumerate(rows)
    ]
    return Run(path=Path(path), table=pd.DataFrame(told).reindex(columns=list(COLUMNS)), **more)


def row(attack, gfr, **other):
    return {"attack": attack, "gfr": gfr, **other}


@pytest.mark.parametrize("column", ["model_sha", "behaviour"])
def test_other_networks_of_one_name_do_not_stand_in_one_table(column):
    board = make_board([run("a", row("pgd", 40.0)), run("b", row("fgsm", 30.0, **{column: "cc"}))])
    assert [[one.attack for one in part.rows] for part in board.parts] == [["pgd"], ["fgsm"]]
    assert board.parts[1].setting == f"{column} cc"


def test_seeds_of_one_attack_are_no_reason_to_part_runs():
    seeds = [row("uap", 40.0 + at, seed=str(at)) for at in range(3)]
    board = make_board([run("a", *seeds), run("b", row("fgsm", 30.0))])
    assert len(board.parts) == 1


def test_a_repeated_row_stays_where_it_was_first():
    first = run("a", row("pgd", 40.0, cell="x"), row("fgsm", 30.0, cell="y"))
    board = make_board([first, run("b", row("noise", 5.0, cell="z"), row("pgd", 40.0, cell="x"))])
    assert [(one.attack, str(one.run.path)) for one in board.rows] == [("pgd", "a"), ("fgsm", "a"), ("noise", "b")]
    assert board.repeated == 1


def curve(attack, cell, rate, *, defense="none"):
    facts = {**COMMON, "attack": attack, "defense": defense, "seed": None}
    rates = [Estimate(value, value, value) for value in (0.0, rate)]
    return Curve(facts=facts, cells=[cell], over="queries", points=np.array([0.0, 100.0]), rates=rates)


def test_the_strongest_on_each_system_is_the_worst_case_or_the_highest_by_its_name():
    """Of several runs the worst case comes before the last run's attack; a randomized system has none."""
    noisy = {"defense": "noise"}
    first = run(
        "a",
        *(row("square", 80.0, cell="s"), row("rays", 60.0, cell="r")),
        *(row("square", 70.0, cell="sn", **noisy), row("rays", 50.0, cell="rn", **noisy)),
        curves=[
            *(curve("square", "s", 0.8), curve("rays", "r", 0.6), curve(WORST, "s", 0.9)),
            *(curve("square", "sn", 0.7, defense="noise"), curve("rays", "rn", 0.5, defense="noise")),
        ],
    )
    second = run("b", row("other", 20.0, cell="o"), curves=[curve("other", "o", 0.2)])
    (part,) = make_board([first, second]).parts
    chart = next(curve_charts(part, "queries"))
    assert "strongest on each system" in chart.title
    assert (
        chart.told == "none: half are fooled at 100, 90.0% at 100; noise: square: half are fooled at 100, 70.0% at 100"
    )


def test_a_rate_beyond_its_rounded_interval_is_drawn():
    rows = [
        row("uap", 10.0 * at, attack_params=f'{{"images":{at}}}', gfr_low=10.0 * at, gfr_high=10.0 * at - 0.01)
        for at in (1, 2, 3)
    ]
    (part,) = make_board([run("a", *rows)]).parts
    assert len(list(sweep_charts(part))) == 1


@pytest.mark.parametrize(
    ("unit", "told"), [("percent", "right under attack <b>40.0"), ("error", "top1 under attack <b>40.000")]
)
def test_a_panel_tells_what_a_row_has_in_its_unit(unit, told):
    assert told in page(make_board([run("a", row("pgd", 40.0, unit=unit))]))
    assert "under attack <b>" not in page(make_board([run("a", row("pgd", 40.0, robust=None))]))


def moved(cell, layers):
    share = Estimate(0.1, 0.05, 0.2)
    facts = {**COMMON, "attack": cell}
    return Moved(
        facts=facts, cell=cell, layers=layers, relative=[share] * len(layers), moved=[1.0] * len(layers), alone=None
    )


def test_runs_that_look_at_other_layers_have_charts_of_their_own():
    first = run("a", row("pgd", 40.0, cell="p"), layers=[moved("p", ["one", "two"])])
    second = run("b", row("fgsm", 30.0, cell="f"), layers=[moved("f", ["one", "two", "three"])])
    (part,) = make_board([first, second]).parts
    charts = list(layer_charts(part))
    assert len(charts) == 2
    assert "three" in charts[1].told


def test_every_figure_has_a_name_of_its_own(monkeypatch):
    """Also where a title is what another one's number makes of it."""
    titles = ["a 2", "a", "a", "a"]
    charts = [("what", Chart(title, "", Figure(figsize=(1, 1)))) for title in titles]
    monkeypatch.setattr(figures_module, "_charts", lambda board: iter(charts))
    names = [name for name, _ in figures(SimpleNamespace(), "svg")]
    assert names == ["what-a-2.svg", "what-a.svg", "what-a-3.svg", "what-a-4.svg"]
