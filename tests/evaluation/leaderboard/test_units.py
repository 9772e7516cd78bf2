"""Errors have their own unit, which their row states: tables, pages and sentences take it from there."""

import pandas as pd
import pytest
from foolbench.core import Metric
from foolbench.evaluation.board.board import Row
from foolbench.evaluation.board.runs import Run
from foolbench.evaluation.board.worth import verdict, worths
from foolbench.evaluation.leaderboard.paired import difference
from foolbench.evaluation.leaderboard.stats import Estimate
from foolbench.evaluation.leaderboard.units import difference_in_unit, estimate_in_unit, for_the_worse, unit_of
from foolbench.evaluation.report.pivot import pivot

ACCURACY = Metric(statistics=lambda prediction, reference: prediction, range=2.0)
ERROR = Metric(statistics=lambda prediction, reference: prediction, range=50.0, error=True)


def test_a_share_of_the_best_is_percent_or_an_error_with_its_ends_the_other_way_round():
    share = Estimate(0.9, 0.8, 0.96)
    assert (unit_of(ACCURACY), unit_of(ERROR)) == ("percent", "error")
    assert estimate_in_unit(ACCURACY, "robust", share) == pytest.approx((90, 80, 96))
    assert estimate_in_unit(ERROR, "robust", share) == pytest.approx((5, 2, 10))
    assert estimate_in_unit(ERROR, "gfr", share) == pytest.approx((90, 80, 96))


def test_a_difference_of_errors_is_that_of_the_errors():
    """0.05 and 0.51 of 50: as shares of the best 0.999 and 0.9898."""
    found = difference([0.999, 0.999, 0.999], [0.9898, 0.9897, 0.9899], proportion=False)
    told = difference_in_unit(ERROR, "robust", found)
    assert (told.first, told.second, told.difference) == pytest.approx((0.05, 0.51, 0.46))
    assert told.low < 0.46 < told.high
    assert (told.low, told.high) == pytest.approx((-50 * found.high, -50 * found.low))
    assert difference_in_unit(ERROR, "gfr", found).difference == pytest.approx(100 * found.difference)


def test_an_error_is_worse_where_it_is_larger():
    assert [for_the_worse(unit, "robust") for unit in ("percent", "error")] == [-1, 1]
    assert [for_the_worse(unit, "gfr") for unit in ("percent", "error")] == [1, 1]


def values(unit, *, clean, defense="none", drop=0.0):
    return {
        **dict.fromkeys(["model", "source_model", "dataset"], "net"),
        "attack": "pgd",
        "attack_params": "{}",
        "access": "gradient",
        "knowledge": "oblivious",
        "norm": "linf",
        "eps": 0.1,
        "defense": defense,
        "defense_params": "{}",
        "metric": "abs-rel",
        "unit": unit,
        "n": 9,
        "clean": clean,
        "clean_low": clean,
        "clean_high": clean,
        "robust": clean,
        "clean_drop": drop,
        "floor": 0.0,
        "gfr": 0.38,
        "gfr_low": 0.3,
        "gfr_high": 0.4,
        "gfr_gap": None,
        "flagged": "",
        "status": "ok",
    }


@pytest.mark.parametrize(
    ("unit", "title", "clean"), [("error", "abs-rel, an error", "0.090"), ("percent", "in percent", "0.1")]
)
def test_an_error_of_two_digits_is_no_percent(unit, title, clean):
    ((told, (line,)),) = pivot(pd.DataFrame([values(unit, clean=0.09)]))
    assert title in told
    assert (line["clean"], line["drop"]) == (clean, "0.000" if unit == "error" else "0.0")


@pytest.fixture
def board_row(tmp_path):
    def board_row(**given):
        run = Run(path=tmp_path, table=pd.DataFrame([given]))
        return Row(number=1, place=1, run=run, values=given, attack="pgd", defense=given["defense"], through="none")

    return board_row


@pytest.mark.parametrize(("unit", "digits"), [("error", (3, 3)), ("percent", (1, 0))])
def test_a_row_of_the_page_has_the_digits_of_its_unit(board_row, unit, digits):
    row = board_row(**values(unit, clean=50.0))
    assert row.digits("clean") == row.digits("robust") == row.digits("clean_drop") == digits
    assert row.digits("gfr") == (1, 0)  # a rate of any metric is in percent


@pytest.mark.parametrize(
    ("unit", "cost"),
    [("error", "and its clean abs-rel is 0.134 larger"), ("percent", "and it costs 0.1 points of clean accuracy")],
)
def test_what_a_defense_costs_is_told_in_the_unit(board_row, unit, cost):
    rows = [
        board_row(**values(unit, clean=0.05)),
        board_row(**values(unit, clean=0.184, defense="jpeg", drop=0.134) | {"knowledge": "adaptive"}),
    ]
    assert cost in verdict(worths(rows))
