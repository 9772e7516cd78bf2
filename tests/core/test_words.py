"""Numbers and budgets as people write them."""

import math

import pytest
from foolbench.core.words import budget, counted


@pytest.mark.parametrize(
    ("eps", "text"),
    [
        *(
            (8 / 255, "8/255"),
            (0.031373, "8/255"),
            (0.015686, "4/255"),
            (0.25 / 255, "0.25/255"),
            (0.5 / 255, "0.5/255"),
        ),
        *((0.1, "0.1"), (0.2, "0.2"), (0.3, "0.3"), (0.031, "0.031"), (0.0123456, "0.01235")),
        *((128 / 255, "128/255"), (1, "1"), (4.0, "4"), (2.5, "2.5"), (math.inf, "inf"), (1e-9, "1e-09")),
    ],
)
def test_budgets_are_levels_where_they_are_no_short_decimals(eps, text):
    assert budget(eps) == text


def test_numbers_have_their_noun():
    assert [counted(1, "image"), counted(2, "image"), counted(0, "class")] == ["1 image", "2 images", "0 classes"]
