"""Curves over queries of a linear network: along the best direction the query that fools an image is known."""

from dataclasses import dataclass
from typing import ClassVar

import foolbench
import numpy as np
import pytest
import torch
from foolbench.attacks import PGD
from foolbench.core import QueryAttack, Searched, register_attack
from foolbench.defenses import BitDepth, RandomNoise
from foolbench.evaluation.leaderboard.curve import STEPS, WORST
from foolbench.evaluation.leaderboard.curves import curves
from foolbench.evaluation.python import evaluate
from foolbench.evaluation.report.finished import finished_run

SHAPE, COUNT, EPS, QUERIES = (1, 6, 6), 80, 0.02, 40
FACTS = {"silent": True, "device": "cpu", "samples": COUNT, "draws": 2, "eot_draws": 2}


@dataclass(frozen=True, kw_only=True)
class Walk(QueryAttack):
    """Asks about `queries` points on the way to the best one in the budget, the nearest first, until one fools.

    One that is `late` stays where it is for its first queries.
    """

    queries: int = QUERIES
    late: int = 0

    access: ClassVar = "decision"

    def search(self, model, x, y, *, rng):
        up = (model.net.weight[1] - model.net.weight[0]).reshape(SHAPE).sign()
        away = torch.where(y == 0, 1.0, -1.0).reshape(-1, 1, 1, 1) * up
        found, asked = x.clone(), torch.full((len(x),), self.queries)
        for query in range(1, self.queries + 1):
            point = x + max(query - self.late, 0) / self.queries * self.eps * away
            hit = self.reached(model, model.averaged(point, rng=rng.fork(query)), y) & (asked == self.queries)
            found[hit], asked[hit] = point[hit], query
        return Searched(found, asked)


@pytest.fixture(scope="module")
def model(linear_model):
    return linear_model(2, SHAPE)


@pytest.fixture(scope="module")
def images(mid_images):
    return mid_images(COUNT, SHAPE), torch.zeros(COUNT, dtype=torch.long)


@pytest.fixture(scope="module")
def exact(model, images):
    """The query that fools each image: with how many steps of `EPS / QUERIES` it crosses the boundary."""
    difference = (model.net.weight[0] - model.net.weight[1]).detach()
    lead = images[0].flatten(1) @ difference + (model.net.bias[0] - model.net.bias[1]).detach()
    needed = np.ceil((lead.abs() / (difference.abs().sum() * EPS / QUERIES)).numpy())
    return np.where(needed <= QUERIES, needed, np.inf)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(evaluate, "publish", lambda *_: None)  # the page of each run would take most of the time
    register_attack("toy-walk")(Walk)


@pytest.fixture
def found(model, images, tmp_path):
    """`found(attacks, ...)` is the leaderboard of a run and its curves."""

    def found(attacks, **more):
        table = foolbench.evaluate(model, images, attacks=attacks, out=tmp_path, **FACTS | more)
        with finished_run(tmp_path) as finished:
            return table, curves(finished)

    return found


def means(curve):
    return np.array([rate.mean for rate in curve.rates])


def test_the_curve_is_the_distribution_of_the_queries(found, exact):
    table, (curve,) = found([Walk(eps=EPS)])
    assert curve.over == "queries"
    assert curve.points.tolist() == list(range(QUERIES + 1))
    expected = (exact <= curve.points[:, None]).mean(axis=1)
    assert 0.2 < expected[-1] < 0.95
    assert means(curve) == pytest.approx(expected, abs=1.5 / COUNT)  # an image may lie on a step but for rounding
    assert means(curve)[0] == 0
    assert [100 * value for value in curve.rates[-1]] == pytest.approx(
        table[["gfr", "gfr_low", "gfr_high"]].iloc[0], abs=0.006
    )
    area = 100 * np.clip(1 - exact / QUERIES, 0, None).mean()
    assert table.gfr_area_queries[0] == pytest.approx(area, abs=1)
    assert table.gfr_area.isna().all()


def test_a_curve_of_many_queries_has_a_hundred_points(found):
    _, (curve,) = found([Walk(eps=EPS, queries=777)])
    assert len(curve.points) == STEPS + 1
    assert curve.points[-1] == 777
    assert (curve.points == curve.points.round()).all()


def test_the_worst_case_is_the_best_of_all_at_any_number_of_queries(found):
    table, curves = found([Walk(eps=EPS), Walk(eps=EPS, late=20), PGD(eps=EPS)])
    fast, late, worst = curves
    assert [curve.facts["attack"] for curve in curves] == ["toy-walk", "toy-walk", WORST]
    assert (means(worst) == np.maximum(means(fast), means(late))).all()
    assert means(late)[20] == 0 < means(late)[-1]
    assert worst.cells == table.cell.tolist()[:2]
    assert table.gfr_area_queries.notna().tolist() == [True, True, False]


def test_attacks_under_other_threats_are_not_compared(found):
    _, curves = found([Walk(eps=EPS), Walk(eps=EPS / 2)])
    assert [curve.facts["attack"] for curve in curves] == ["toy-walk"] * 2


def test_only_the_system_that_was_asked_has_a_curve(found):
    table, curves = found([Walk(eps=EPS)], defenses=[BitDepth(bits=5)], knowledge=["oblivious", "adaptive"])
    assert [(one.facts["defense"], one.facts["knowledge"]) for one in curves] == [
        ("none", "oblivious"),
        ("bit-depth", "adaptive"),
    ]
    assert table.gfr_area_queries.notna().sum() == 2


def test_a_randomized_system_counts_as_often_as_it_is_fooled(found):
    attacks = [Walk(eps=EPS), Walk(eps=EPS, late=20)]
    table, curves = found(attacks, defenses=[RandomNoise(scale=0.01)], knowledge="adaptive")
    noisy = [curve for curve in curves if curve.facts["defense"] == "random-noise"]
    assert len(noisy) == 2  # no worst case: the larger of two rates is chance
    for curve, gfr in zip(noisy, table[table.defense == "random-noise"].gfr, strict=True):
        assert 100 * means(curve)[-1] == pytest.approx(gfr, abs=0.006)
        assert (np.diff(means(curve)) >= 0).all()


def test_scores_by_image_have_the_queries(found, exact, tmp_path):
    found([Walk(eps=EPS)])
    scores = foolbench.image_scores(tmp_path)
    assert scores.queries.to_numpy() == pytest.approx(np.minimum(exact, QUERIES), abs=1)
