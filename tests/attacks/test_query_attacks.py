"""Attacks that count queries count those that they ask, image by image, and no more than they may."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from foolbench.attacks import RayS, Square
from foolbench.core import BudgetError, ConfigError, QueryAttack, Searched
from foolbench.datasets.digits import Digits

LOOKS = {Square: 1, RayS: 1}
"""Evaluations of the image as it comes, which are no queries."""


@dataclass(frozen=True, kw_only=True)
class Miscounting(QueryAttack):
    queries: int = 3
    says: tuple[float, ...] = ()

    access: ClassVar = "decision"

    def search(self, model, x, y, *, rng):
        return Searched(x, torch.tensor(self.says))


@pytest.mark.parametrize("kind", LOOKS, ids=lambda kind: kind.__name__)
def test_the_counts_are_the_images_that_go_through_the_network(digits_model, kind):
    x, _ = Digits().load(range(16))
    y = digits_model.predict(x)
    attack, counts = kind(eps=0.1, queries=60), []
    for row in range(len(x)):
        before = digits_model.passes.forwards
        found = attack.counted(digits_model, x[row : row + 1], y[row : row + 1], rng=row)
        counts.append(int(found.queries))
        assert digits_model.passes.forwards - before == counts[-1] + LOOKS[kind]
        assert bool(digits_model.predict(found.x_adv) != y[row]) == (counts[-1] < 60)
    assert min(counts) < max(counts) == 60


@pytest.mark.parametrize("kind", LOOKS, ids=lambda kind: kind.__name__)
def test_what_is_counted_is_what_a_call_gives_and_no_batch_changes_it(digits_model, kind):
    x, _ = Digits().load(range(8))
    attack = kind(eps=0.1, queries=60)
    together = attack.counted(digits_model, x, rng=0)
    assert torch.equal(attack(digits_model, x, rng=0), together.x_adv)
    fewer = kind(eps=0.1, queries=60).counted(digits_model, x[:3], rng=0)
    assert torch.equal(fewer.queries, together.queries[:3])


@pytest.mark.parametrize("says", [(0, 4), (-1, 1), (1, 2, 3), (1.0, 2.0)], ids=str)
def test_counts_that_cannot_be_are_refused(digits_model, says):
    x, _ = Digits().load(range(2))
    with pytest.raises(BudgetError, match="from 0 to 3 queries of each of 2 images"):
        Miscounting(eps=0.1, says=says).counted(digits_model, x)


def test_no_query_is_no_attack():
    with pytest.raises(ConfigError, match="queries >= 1, got 0"):
        Square(eps=0.1, queries=0)
