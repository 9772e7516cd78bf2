"""Errors in their own unit are known by their digits, and the page gives them as many."""

import pandas as pd
import pytest
from foolbench.evaluation.board.board import Row
from foolbench.evaluation.board.runs import Run
from foolbench.evaluation.leaderboard.units import are_errors


@pytest.mark.parametrize(
    ("values", "errors"),
    [([94.73, 64.55], False), ([0.09219, None], True), ([100.0], False), ([None, float("nan")], False), ([], False)],
    ids=str,
)
def test_errors_have_more_digits_than_percents(values, errors):
    assert are_errors(values) is errors


@pytest.mark.parametrize(("clean", "digits"), [(0.09219, (3, 3)), (94.73, (1, 0))])
def test_a_row_of_the_page_has_the_digits_of_its_values(tmp_path, clean, digits):
    values = {"clean": clean, "robust": clean, "gfr": 0.38}
    run = Run(path=tmp_path, table=pd.DataFrame([values]))
    row = Row(number=1, place=1, run=run, values=values, attack="pgd", defense="none")
    assert row.digits("clean") == row.digits("robust") == row.digits("clean_drop") == digits
    assert row.digits("gfr") == (1, 0)  # a rate of any metric is in percent
