"""Curves of linear networks, whose distance to the boundary is known: |f(x)| / ||w||_q for a change of norm p."""

from dataclasses import dataclass
from typing import ClassVar

import foolbench
import numpy as np
import pandas as pd
import pytest
import torch
from foolbench.attacks import FAB, FGSM, PGD, CarliniWagner, DeepFool
from foolbench.core import Draws, InputTransform, MinimalAttack, register_attack, register_defense
from foolbench.defenses import BitDepth, RandomNoise
from foolbench.evaluation.leaderboard.curve import STEPS, WORST
from foolbench.evaluation.leaderboard.curves import curves
from foolbench.evaluation.leaderboard.scores import Scores
from foolbench.evaluation.leaderboard.united import worst_case
from foolbench.evaluation.python import evaluate
from foolbench.evaluation.report.finished import finished_run
from foolbench.tasks import Recognition

TOP1 = Recognition(classes=10).metrics["top1"]

SHAPE, COUNT = (1, 6, 6), 80
DUAL = {"linf": 1, "l2": 2, "l1": torch.inf}
EPS = {"linf": 0.02, "l2": 0.1, "l1": 0.3}
"""Budgets that fool some of the images: the mid-grey ones never meet the ends of [0, 1] on the way."""
FACTS = {"silent": True, "device": "cpu", "samples": COUNT, "draws": 2, "eot_draws": 2}


@dataclass(frozen=True, kw_only=True)
class Grey(MinimalAttack):
    """Moves every image to a grey of its own, which fools some of them."""

    access: ClassVar = "none"
    norms: ClassVar = ("linf",)

    def minimize(self, model, x, y, *, rng: Draws):
        return torch.full_like(x, 0.5) + 0.2 * torch.sign(x - 0.5).mean(dim=(1, 2, 3), keepdim=True)


@dataclass(frozen=True, kw_only=True)
class Flicker(InputTransform):
    """Says that it is randomized, and is not: all of its draws agree."""

    differentiable: ClassVar = True
    randomized: ClassVar = True

    def transform(self, x, *, rng):
        return x


@pytest.fixture(scope="module")
def model(linear_model):
    return linear_model(2, SHAPE)


@pytest.fixture(scope="module")
def images(mid_images):
    """As a data set holds them, in 256 levels, with labels."""
    return (mid_images(COUNT, SHAPE) * 255).round() / 255, torch.zeros(COUNT, dtype=torch.long)


@pytest.fixture(scope="module")
def exact(model, images):
    """The distance of each image in a norm."""
    x = images[0].flatten(1)
    difference = (model.net.weight[0] - model.net.weight[1]).detach()
    lead = x @ difference + (model.net.bias[0] - model.net.bias[1]).detach()
    return {norm: (lead.abs() / difference.norm(p=q)).numpy() for norm, q in DUAL.items()}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The page of each run would take most of the time."""
    monkeypatch.setattr(evaluate, "publish", lambda *_: None)
    register_attack("toy-grey")(Grey)
    register_defense("toy-flicker")(Flicker)


@pytest.fixture
def found(model, images, tmp_path):
    """`found(attacks, ...)` is the leaderboard of a run and its curves."""

    def found(attacks, **more):
        table = foolbench.evaluate(model, images, attacks=attacks, out=tmp_path, **FACTS | more)
        with finished_run(tmp_path) as finished:
            return table, curves(finished)

    return found


def between(rate, distances, budget):
    """Whether it is the share of images within the budget, if none was found nearer, nor further off than by 1%.

    DeepFool goes 1e-4 beyond the boundary.
    """
    return (distances * 1.01 + 2e-4 <= budget).mean() <= rate <= (distances * (1 - 1e-4) <= budget).mean()


@pytest.mark.parametrize(
    "attack",
    [
        DeepFool(norm="l2", eps=EPS["l2"], overshoot=0),
        DeepFool(norm="linf", eps=EPS["linf"], overshoot=0),
        FAB(norm="l1", eps=EPS["l1"], steps=20),
    ],
    ids=lambda attack: attack.norm,
)
def test_the_curve_of_a_linear_network_is_the_distribution_of_its_distances(found, exact, attack):
    table, (curve,) = found([attack])
    distances, eps = exact[attack.norm], attack.eps
    assert 0.2 < table.gfr[0] / 100 < 0.95
    assert len(curve.points) == len(curve.rates) == STEPS + 1
    assert (curve.points[0], curve.points[-1]) == (0, eps)
    for budget, rate in zip(curve.points, curve.rates, strict=True):
        assert between(rate.mean, distances, budget)
    assert curve.rates[0].mean == 0
    last = curve.rates[-1]
    assert [100 * value for value in last] == pytest.approx(table[["gfr", "gfr_low", "gfr_high"]].iloc[0], abs=0.006)
    area = 100 * np.clip(1 - distances / eps, 0, None).mean()
    assert table.gfr_area[0] == pytest.approx(area, abs=2)
    means = [rate.mean for rate in curve.rates]
    assert np.trapezoid(means, curve.points) / eps == pytest.approx(table.gfr_area[0] / 100, abs=1 / STEPS)


def test_one_run_says_what_runs_at_other_budgets_say(found):
    """FGSM is the strongest attack there is on a linear network in Linf."""
    places = (25, 50, 75, 100)
    eps = [EPS["linf"] * place / STEPS for place in places]
    table, curves = found([DeepFool(norm="linf", eps=EPS["linf"], overshoot=0), *(FGSM(eps=one) for one in eps)])
    rates = 100 * np.array([curves[0].rates[place].mean for place in places])
    assert rates == pytest.approx(table[table.attack == "fgsm"].gfr.to_numpy(), abs=200 / COUNT)
    assert len(set(rates)) == 4


def test_an_infinite_budget_ends_where_the_last_image_is_fooled_and_has_no_area(found, exact):
    table, (curve,) = found([DeepFool(norm="l2", eps=np.inf)])
    assert curve.points[-1] == pytest.approx(exact["l2"].max(), rel=0.05)
    assert curve.rates[-1].mean == 1
    assert table.gfr_area.isna().all()


def test_the_worst_case_is_no_lower_than_any_attack_at_any_budget(found):
    attacks = [
        DeepFool(norm="linf", eps=EPS["linf"], overshoot=1.0),
        DeepFool(norm="linf", eps=EPS["linf"], overshoot=0.5),
        PGD(eps=EPS["linf"] / 2, steps=5),
    ]
    table, curves = found(attacks)
    own, (worst,) = curves[:-1], curves[-1:]
    assert [curve.facts["attack"] for curve in curves] == ["deepfool", "deepfool", WORST]
    for curve in own:
        assert all(rate.mean <= most.mean for rate, most in zip(curve.rates, worst.rates, strict=True))
    pgd = table[table.attack == "pgd"].gfr.iloc[0] / 100
    assert worst.rates[STEPS // 2].mean >= pgd > max(curve.rates[STEPS // 2].mean for curve in own)
    assert worst.cells == table.cell.tolist()


def test_only_what_was_found_on_the_system_itself_and_without_chance_has_a_curve(found):
    attack = DeepFool(norm="linf", eps=EPS["linf"])
    twice = {"defenses": [BitDepth(bits=5), RandomNoise(scale=0.01)], "knowledge": ["oblivious", "adaptive"]}
    table, curves = found([attack, PGD(eps=EPS["linf"])], **twice)
    own = [curve.facts for curve in curves if not curve.is_worst_case]
    assert [(row["defense"], row["knowledge"]) for row in own] == [("none", "oblivious"), ("bit-depth", "adaptive")]
    with_area = table[table.gfr_area.notna()]
    assert list(zip(with_area.attack, with_area.defense, with_area.knowledge, strict=True)) == [
        ("deepfool", "none", "oblivious"),
        ("deepfool", "bit-depth", "adaptive"),
    ]


def test_a_confident_point_is_not_the_nearest_one(found):
    surer = CarliniWagner(eps=1.0, confidence=2.0, steps=20, searches=2)
    table, curves = found([surer])
    assert table.status.tolist() == ["ok"]
    assert curves == []
    assert table.gfr_area.isna().all()


def test_images_that_were_not_fooled_do_not_count_however_near_they_were_looked_for(found):
    table, (curve,) = found([Grey(eps=0.5)])
    assert 0 < table.gfr[0] < 100
    assert 100 * curve.rates[-1].mean == pytest.approx(table.gfr[0], abs=0.006)


def test_the_area_of_a_group_is_that_of_the_nearest_points_where_all_have_one():
    def scores(**columns):
        whole = {"gfr": [1.0, 0.0], "linf": [0.1, 0.1], "forwards": 1.0, "backwards": 1.0, "seconds": 1.0}
        return Scores(metric=TOP1, images=pd.DataFrame({"sample": [0, 1]} | whole | columns))

    both = worst_case([scores(area=[0.2, 0.0]), scores(area=[0.1, 0.4])], chance=False)
    assert both.images.area.tolist() == [0.2, 0.4]
    assert "area" not in worst_case([scores(area=[0.2, 0.0]), scores()], chance=False)


def test_a_system_that_might_have_drawn_otherwise_has_no_curve(found):
    _, curves = found([DeepFool(eps=EPS["l2"])], defenses=[Flicker()], knowledge="adaptive", norm="l2")
    assert [curve.facts["defense"] for curve in curves] == ["none"]
