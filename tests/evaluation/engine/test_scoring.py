"""Scores against a system whose answers are known image by image."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
import pytest
import torch
from foolbench.core import Draws, InputTransform, Model
from foolbench.evaluation.engine.crafting.crafted import Crafted
from foolbench.evaluation.engine.crafting.shard import Shard
from foolbench.evaluation.engine.memory.remembered import Room
from foolbench.evaluation.engine.scoring.system import INSPECTED, System
from foolbench.evaluation.ledger.ledger import Costs
from foolbench.evaluation.ledger.record import merged
from foolbench.tasks import Recognition
from torch import nn

COUNT = 400
COSTS = Costs()


class Brightness(nn.Module):
    """Class 1 where the mean pixel exceeds one half, else class 0."""

    def forward(self, x):
        mean = x.flatten(1).mean(1)
        return torch.stack([0.5 - mean, mean - 0.5], dim=1)


@dataclass(frozen=True, kw_only=True)
class Shift(InputTransform):
    """Adds a uniform number in [-width, width] to the whole image."""

    width: float = 0.5
    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = True

    def transform(self, x, *, rng):
        return (x + rng.uniform((1, 1, 1), -self.width, self.width)).clamp(0, 1)


@dataclass(frozen=True, kw_only=True)
class Negative(InputTransform):
    """Turns every prediction of Brightness around."""

    differentiable: ClassVar[bool] = True
    randomized: ClassVar[bool] = False

    def transform(self, x, *, rng):
        return 1 - x


@pytest.fixture
def model():
    return Model(Brightness(), task=Recognition(classes=2), shape=(1, 4, 4), name="brightness")


def flat(*levels):
    return torch.tensor(levels).reshape(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()


def shard(x, y, start=0):
    return Shard(samples=range(start, start + len(x)), x=x, y=torch.tensor(y))


def many(start=0, stop=COUNT):
    """Images at mid-grey plus a little: a shift of at most 0.5 turns them around nearly every second time."""
    x = flat(*([0.55] * COUNT))
    return shard(x[start:stop], [1] * (stop - start), start)


def crafted(x_adv, costs=COSTS):
    return Crafted(stored=x_adv, undone=torch.zeros(len(x_adv), dtype=torch.bool), costs=costs)


def column(scores, name):
    return torch.tensor(scores.frame("top1")[name].to_numpy(), dtype=torch.float64)


def test_every_number_of_a_deterministic_system(model):
    x, x_adv = flat(0.2, 0.2, 0.8, 0.8), flat(0.3, 0.7, 0.7, 0.3)
    scores = System(model, 0, 10).score(shard(x, [0, 0, 0, 1], 7), crafted(x_adv, Costs(8, 4, 2)), "p")
    assert scores.samples.tolist() == [7, 8, 9, 10]
    assert set(scores.metrics) == {"top1"}
    assert column(scores, "clean").tolist() == [1, 1, 0, 1]
    assert column(scores, "gfr").tolist() == [0, 1, 0, 1]  # the third is wrong all along, but not fooled
    assert column(scores, "attacked").tolist() == [1, 0, 0, 0]
    assert column(scores, "floor").tolist() == [0, 0, 0, 0]
    assert column(scores, "linf").tolist() == pytest.approx([0.1, 0.5, 0.1, 0.5])
    assert column(scores, "l2").tolist() == pytest.approx([0.4, 2.0, 0.4, 2.0])
    assert {tuple(costs) for costs in scores.frame("top1")[["forwards", "backwards", "seconds"]].to_numpy()} == {
        (2, 1, 0.5)
    }


def test_the_reference_of_gfr_is_the_same_systems_clean_prediction(model):
    x = flat(0.2, 0.8)
    scores = System(Negative().defend(model), 0, 10).score(shard(x, [0, 1]), crafted(x), "p")
    assert column(scores, "clean").tolist() == [0, 0]  # the defense is always wrong,
    assert column(scores, "gfr").tolist() == [0, 0]  # but nothing has changed its mind


def test_a_deterministic_system_is_evaluated_once(model):
    found = System(model, 0, 10)
    found.score(many(), crafted(many().x), "p")
    assert found.draws == 1
    assert model.passes.forwards == 3 * INSPECTED + 2 * COUNT  # clean and perturbed once each, all else is promises


def test_the_floor_of_a_randomized_system_is_its_disagreement_with_itself(model):
    scores = System(Shift().defend(model), 0, 10).score(many(), crafted(many().x), "p")
    chance = 0.55  # P(shift > -0.05) for a shift in [-0.5, 0.5]
    disagreement = 2 * chance * (1 - chance)
    assert column(scores, "clean").mean() == pytest.approx(chance, abs=0.04)
    assert column(scores, "floor").mean() == pytest.approx(disagreement, abs=0.04)
    assert column(scores, "gfr").mean() == pytest.approx(disagreement, abs=0.04)  # zero perturbation


def test_scores_are_means_over_the_draws(model):
    defended = Shift().defend(model)
    ten = System(defended, 0, 10).score(many(), crafted(many().x), "p")
    assert set((column(ten, "clean") * 10).round(decimals=9).frac().tolist()) == {0}
    assert 0.1 in column(ten, "clean").round(decimals=9) or 0.7 in column(ten, "clean").round(decimals=9)
    one = System(defended, 0, 1).score(many(), crafted(many().x), "p")
    assert set(column(one, "clean").tolist()) == {0, 1}
    assert column(ten, "gfr").var() < column(one, "gfr").var() / 5  # the mean of ten draws has a tenth


def test_clean_floor_and_adversarial_predictions_have_draws_of_their_own(model):
    found = System(Shift().defend(model), 0, 1)
    clean, floor, job, other = (found.predictions(many().x, many().samples, p)[0] for p in ("clean", "floor", "a", "b"))
    for left, right in ((clean, floor), (clean, job), (floor, job), (job, other)):
        assert (left == right).float().mean() == pytest.approx(0.55**2 + 0.45**2, abs=0.1)


def test_draws_differ_from_each_other_and_from_image_to_image(model):
    draws = torch.stack(System(Shift().defend(model), 0, 8).predictions(many().x, many().samples, "clean"))
    agree = (draws[:, None] == draws[None]).float().mean(2)
    assert float(agree[~torch.eye(8, dtype=torch.bool)].max()) < 0.65
    assert float((draws[:, 1:] == draws[:, :-1]).float().mean()) < 0.56


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("defense", [None, Shift(width=0.2), Negative()], ids=repr)
def test_batch_size_changes_no_score(model, size, defense):
    system = model if defense is None else defense.defend(model)
    x_adv = (many().x - 0.1 * Draws.of(1, samples=range(COUNT)).uniform((1, 1, 1))).clamp(0, 1)
    whole = System(system, 3, 4).score(many(), crafted(x_adv), "p")
    pieces, found = [], System(system, 3, 4)
    for start in range(0, COUNT, size):
        stop = min(start + size, COUNT)
        pieces.append(found.score(many(start, stop), crafted(x_adv[start:stop]), "p"))
    pd.testing.assert_frame_equal(merged(pieces).frame("top1"), whole.frame("top1"), check_exact=True)


def test_the_seed_changes_the_draws(model):
    defended = Shift().defend(model)
    first, second = (System(defended, seed, 4).score(many(), crafted(many().x), "p") for seed in (0, 1))
    assert not column(first, "clean").equal(column(second, "clean"))


@pytest.mark.parametrize("defense", [None, Shift(width=0.2)], ids=repr)
def test_without_room_for_what_it_said_a_system_says_it_again(model, defense):
    system = model if defense is None else defense.defend(model)
    frames, passes = [], []
    for room in (Room(), Room(left=0)):
        before = model.passes.forwards
        found = System(system, 0, 4, room=room)
        frames += [found.score(many(), crafted(many().x), "p").frame("top1") for _ in range(2)]
        passes.append(model.passes.forwards - before)
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0], check_exact=True)
    unperturbed = 1 if defense is None else 2 * 4  # draws for clean and floor each
    assert passes[1] - passes[0] == unperturbed * COUNT
