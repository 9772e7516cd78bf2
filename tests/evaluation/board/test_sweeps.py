"""A parameter with several values, of an attack or a detector, is a chart; what differs in more is none."""

import json

import pandas as pd
import pytest
from foolbench.evaluation.board.board import make_board
from foolbench.evaluation.board.charts import slopes
from foolbench.evaluation.board.roc import roc_charts
from foolbench.evaluation.board.runs import Run
from foolbench.evaluation.board.sweeps import sweep_charts
from foolbench.evaluation.leaderboard.columns import COLUMNS

COMMON = {
    "recipe": "toy-v1",
    "task": "recognition",
    "dataset": "digits",
    "n": 8,
    "model": "net",
    "source_model": "net",
    "knowledge": "oblivious",
    "norm": "linf",
    "eps": 0.1,
    "defense": "none",
    "defense_params": "{}",
    "metric": "top1",
    "clean": 90.0,
    "robust": 40.0,
    "flagged": "",
    "status": "ok",
    "access": "gradient",
}


def parts(*attacks, **more):
    """Of a board whose rows have these names, parameters and rates."""
    rows = [
        COMMON
        | {"attack": name, "attack_params": json.dumps(told), "gfr": rate, "gfr_low": rate - 5, "gfr_high": rate + 5}
        | {"cell": str(number)}
        | dict(zip(("seed", "knowledge"), rest, strict=False))
        | more
        for number, (name, told, rate, *rest) in enumerate(attacks)
    ]
    board = make_board([Run(path="toy", table=pd.DataFrame(rows).reindex(columns=list(COLUMNS)))])
    return board.parts


def charts(*attacks, **more):
    return [chart for part in parts(*attacks, **more) for chart in sweep_charts(part)]


def uap(images, rate):
    return "uap", {"prior": "data", "training_images": images}, rate


def test_fooling_over_the_number_of_training_images_beside_an_attack_that_sees_none():
    (chart,) = charts(uap(2048, 60.0), uap(32, 10.0), uap(512, 40.0), ("gd-uap", {"prior": "range"}, 55.0))
    assert chart.title == "net: uap by training_images"
    assert (
        chart.told
        == "training_images 32: 10.0%; training_images 512: 40.0%; training_images 2048: 60.0%; gd-uap: 55.0%"
    )
    (axes,) = chart.figure.axes
    line = axes.containers[0].lines[0]
    assert line.get_ydata().tolist() == [10.0, 40.0, 60.0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["32", "512", "2048"]
    ratio = (line.get_xdata()[2] - line.get_xdata()[1]) / (line.get_xdata()[1] - line.get_xdata()[0])
    assert ratio == pytest.approx(2 / 4)  # in octaves
    assert list(axes.get_lines()[-1].get_ydata()) == [55.0, 55.0]


@pytest.mark.parametrize(
    "attacks",
    [
        [uap(32, 10.0), uap(512, 40.0)],
        [("uap", {"prior": prior}, 10.0) for prior in ("none", "range", "data")],
        [("pgd", {"steps": steps, "restarts": steps}, 10.0) for steps in (1, 2, 3)],
        [("pgd", {"random_start": start, "steps": 5}, 10.0) for start in (True, False, 1)],
        [("uap", {"prior": "data"}, 10.0), uap(32, 10.0), uap(64, 10.0)],
    ],
    ids=["two values", "words", "two parameters", "truth", "one without"],
)
def test_what_is_no_sweep_has_no_chart(attacks):
    assert charts(*attacks) == []


def test_a_sweep_with_seeds_is_of_their_means():
    seeds = [(*uap(images, rate + off), seed) for images, rate in ((32, 10.0), (64, 20.0), (128, 30.0))
             for seed, off in (("0", -3.0), ("1", 3.0), ("mean", 0.0))]  # fmt: skip
    (chart,) = charts(*seeds, ("fgsm", {}, 50.0))
    assert chart.told.startswith("training_images 32: 10.0%; training_images 64: 20.0%; training_images 128: 30.0%; ")


def test_what_knowing_is_worth_is_of_means_over_seeds():
    rows = [
        ("pgd", {}, rate, seed, knowledge)
        for knowledge, rates in (("oblivious", (10.0, 20.0, 15.0)), ("adaptive", (40.0, 50.0, 45.0)))
        for seed, rate in zip(("0", "1", "mean"), rates, strict=True)
    ]
    (chart,) = [chart for part in parts(*rows, defense="jpeg") for chart in slopes(part)]
    assert chart.told == "jpeg: 15.0% to 45.0%"


def test_rows_that_failed_are_no_points():
    assert charts(uap(32, 10.0), uap(64, 10.0), uap(128, 10.0), status="error") == []


def detector(threshold, rejected, detected, knowledge="oblivious", **more):
    rates = {f"{name}{end}": rate + off for name, rate in (("rejected_clean", rejected), ("detected", detected))
             for end, off in (("", 0.0), ("_low", -2.0), ("_high", 2.0))}  # fmt: skip
    told = {"defense": "odds", "defense_params": json.dumps({"draws": 4, "threshold": threshold}), "gfr": 30.0}
    return COMMON | {"attack": "pgd", "attack_params": "{}", "knowledge": knowledge} | told | rates | more


def rocs(*rows):
    numbered = [row | {"cell": str(number)} for number, row in enumerate(rows)]
    table = pd.DataFrame(numbered).reindex(columns=list(COLUMNS))
    return [chart for part in make_board([Run(path="toy", table=table)]).parts for chart in roc_charts(part)]


def test_a_detector_at_several_thresholds_has_a_roc_curve_for_each_attack():
    knowing = [detector(threshold, 9 * threshold, 0.0, "adaptive") for threshold in (1, 2, 3)]
    (chart,) = rocs(detector(3, 30.0, 99.0), detector(1, 10.0, 50.0), detector(2, 20.0, 75.0), *knowing)
    assert chart.title == "net: odds"
    assert chart.told == (
        "pgd, oblivious: 50.0% at 10.0%, 75.0% at 20.0%, 99.0% at 30.0%; "
        "pgd, adaptive: 0.0% at 9.0%, 0.0% at 18.0%, 0.0% at 27.0%"
    )
    (axes,) = chart.figure.axes
    (chance, *_), (first, _) = axes.get_lines(), (container.lines[0] for container in axes.containers)
    assert chance.get_xdata().tolist() == chance.get_ydata().tolist() == [0, 32.0]
    assert (first.get_xdata().tolist(), first.get_ydata().tolist()) == ([10.0, 20.0, 30.0], [50.0, 75.0, 99.0])


def test_what_has_one_threshold_or_rejects_nothing_has_no_roc_curve():
    assert rocs(detector(1, 10.0, 50.0), detector(2, 20.0, 75.0)) == []
    answering = [detector(one, 0.0, 0.0) | {"detected": None, "rejected_clean": None} for one in (1, 2, 3)]
    assert rocs(*answering) == []
