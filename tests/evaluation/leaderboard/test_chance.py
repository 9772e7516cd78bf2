"""One rule says whether chance has a part in scores, for worst cases as for curves."""

from types import SimpleNamespace

import pandas as pd
import pytest
from foolbench.defenses import JPEG, RandomNoise
from foolbench.evaluation.leaderboard.chance import is_by_chance
from foolbench.evaluation.leaderboard.flags import SINGLE_DRAW
from foolbench.evaluation.leaderboard.scores import Scores
from foolbench.tasks import Recognition

TOP1 = Recognition(classes=10).metrics["top1"]


@pytest.mark.parametrize(
    ("defense", "floor", "flags", "expected"),
    [
        (None, 0.0, set(), False),
        (JPEG(), 0.0, {"falls-with-eps"}, False),
        (RandomNoise(), 0.0, set(), True),
        (None, 0.1, set(), True),
        (JPEG(), 0.0, {SINGLE_DRAW}, True),
    ],
)
def test_a_randomized_defense_a_floor_or_a_single_draw(defense, floor, flags, expected):
    cell = SimpleNamespace(defense=SimpleNamespace(defense=defense))
    scores = Scores(metric=TOP1, images=pd.DataFrame({"floor": [0.0, floor]}), flags=frozenset(flags))
    assert is_by_chance(cell, scores) is expected
