"""What is written for `--set` is what TOML reads."""

import math
import tomllib

import pytest
from foolbench.evaluation.recipe.toml import inline


@pytest.mark.parametrize(
    "value",
    [
        1,
        0.1,
        1e-9,
        True,
        "plain",
        'quotes " and \\ and \n and \x7f and \x01',
        "Ünïcödé 🐈",
        [],
        [1, [2.5, "x"]],
        {},
        {"name": "pgd", "odd key": {"a": [1]}, "": 2},
        [{"name": "jpeg", "quality": 75}],
        math.inf,
        -math.inf,
    ],
    ids=repr,
)
def test_round_trip(value):
    assert tomllib.loads(f"value = {inline(value)}") == {"value": value}


def test_nothing_is_left_out():
    assert tomllib.loads(f"value = {inline({'a': None, 'b': 1})}") == {"value": {"b": 1}}
