"""Metrics that are no mean over images: their intervals, worst cases and comparisons, against ones that are known."""

from itertools import product

import numpy as np
import pytest
from foolbench.core import InputError, Metric
from foolbench.evaluation.leaderboard.lowest import lowest
from foolbench.evaluation.leaderboard.paired import difference, difference_of_values
from foolbench.evaluation.leaderboard.rates import difference_between, point, rate
from foolbench.evaluation.leaderboard.scores import Scores
from foolbench.evaluation.leaderboard.stats import estimate, estimate_of_value
from foolbench.evaluation.leaderboard.united import mean_over_seeds, worst_case
from foolbench.evaluation.ledger.record import Outcomes
from foolbench.tasks import Segmentation

CLASSES = 3
METRICS = Segmentation(classes=CLASSES).metrics
MIOU, ACCURACY = METRICS["miou"], METRICS["pixel-accuracy"]


def counts(rng, images, quality):
    """Confusions (N, 9) of random maps of 30 pixels, of which a share is right."""
    truth = rng.integers(CLASSES, size=(images, 30))
    said = np.where(rng.random(truth.shape) < quality, truth, rng.integers(CLASSES, size=truth.shape))
    right = np.stack([((said == k) & (truth == k)).sum(axis=1) for k in range(CLASSES)], axis=1)
    wrongly = np.stack([((said == k) & (truth != k)).sum(axis=1) for k in range(CLASSES)], axis=1)
    missed = np.stack([((said != k) & (truth == k)).sum(axis=1) for k in range(CLASSES)], axis=1)
    return np.concatenate([right, wrongly, missed], axis=1).astype(float)


def scores(seed=0, images=40, **quality):
    rng = np.random.default_rng(seed)
    columns = {name: counts(rng, images, quality.get(name, 0.9)) for name in ("clean", "attacked", "gfr", "floor")}
    spent = dict.fromkeys(("forwards", "backwards", "seconds", "linf"), np.ones(images))
    outcomes = Outcomes(samples=np.arange(images), images=spent, metrics={"confusions": columns})
    return Scores.of(Outcomes.decode(outcomes.encode()), "miou", MIOU), columns


def mean_of_ones(sums):
    return sums[..., 0] / sums[..., 1]


def with_ones(values):
    return np.stack([values, np.ones_like(values)], axis=1)


@pytest.mark.parametrize("clusters", [None, np.arange(60) // 4], ids=["images", "clusters"])
def test_of_a_mean_interval_and_test_are_those_of_means(clusters):
    first, second = np.random.default_rng(0).random((2, 60)) ** [[1.0], [1.5]]
    found, known = (
        estimate_of_value(with_ones(first), mean_of_ones, clusters=clusters),
        estimate(first, proportion=False, clusters=clusters),
    )
    assert found == pytest.approx(known, abs=0.01)
    here = difference_of_values(with_ones(first), with_ones(second), mean_of_ones, clusters=clusters)
    there = difference(first, second, proportion=False, clusters=clusters)
    assert here[:5] == pytest.approx(there[:5], abs=0.015)
    assert here.p == pytest.approx(there.p, abs=0.03)
    assert here.needed == pytest.approx(there.needed, rel=0.05)


def test_scores_have_the_value_of_each_image_and_of_all():
    found, columns = scores(attacked=0.4, gfr=0.4)
    alone = [float(MIOU.value(row)) for row in columns["attacked"]]
    assert found.numbers("attacked").tolist() == pytest.approx(alone)
    assert found.numbers("gfr").tolist() == pytest.approx([1 - float(MIOU.value(row)) for row in columns["gfr"]])
    assert point(found, "clean") == pytest.approx(float(MIOU.value(columns["clean"].sum(axis=0))))
    assert point(found, "gfr") == pytest.approx(1 - float(MIOU.value(columns["gfr"].sum(axis=0))))
    for name in ("clean", "robust", "gfr"):
        low_to_high = rate(found, name)
        assert low_to_high.low < low_to_high.mean < low_to_high.high
        assert low_to_high.mean == pytest.approx(point(found, name))


def test_the_interval_holds_the_value_of_all_images_as_often_as_it_says():
    rng = np.random.default_rng(3)
    everything = counts(rng, 4000, 0.6)
    true, held = float(MIOU.value(everything.sum(axis=0))), 0
    for _ in range(200):
        found = estimate_of_value(everything[rng.integers(4000, size=50)], MIOU.value)
        held += found.low <= true <= found.high
    assert 0.88 <= held / 200 <= 0.99


def test_a_class_that_few_images_have_keeps_its_part_in_the_interval():
    """Twenty classes that are never found, each in one image: a third of the resamples lack it."""
    rng = np.random.default_rng(4)
    right, wrongly, missed = np.zeros((20, 21)), np.zeros((20, 21)), np.zeros((20, 21))
    right[:, 0], missed[:, 0] = 90, rng.integers(30, size=20)
    alone = estimate_of_value(
        np.concatenate([right, wrongly, missed], axis=1), Segmentation(classes=21).metrics["miou"].value
    )
    missed[np.arange(20), np.arange(1, 21)] = 10
    rare = estimate_of_value(
        np.concatenate([right, wrongly, missed], axis=1), Segmentation(classes=21).metrics["miou"].value
    )
    assert rare == pytest.approx([each / 21 for each in alone], rel=1e-6)


def test_where_nothing_differs_those_not_seen_may():
    images = counts(np.random.default_rng(6), 30, 1.0)
    assert estimate_of_value(images, MIOU.value) == pytest.approx([1, estimate([1.0] * 30, proportion=True).low, 1])
    same = difference_of_values(images, images, MIOU.value)
    assert same.low < 0 == same.difference < same.high


def test_robust_is_no_higher_than_clean_or_attacked():
    found, columns = scores(clean=0.6, attacked=0.6)
    assert point(found, "robust") < min(float(MIOU.value(columns[name].sum(axis=0))) for name in ("clean", "attacked"))
    behind = found.behind["robust"][:, 0]
    either = (behind == columns["clean"]).all(axis=1) | (behind == columns["attacked"]).all(axis=1)
    assert either.all()


def test_the_worst_case_against_all_choices_there_are():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        members = [counts(rng, 6, 0.5) for _ in range(3)]
        choice = lowest(members, MIOU)
        found = float(MIOU.value(sum(members[k][i] for i, k in enumerate(choice))))
        every = [
            float(MIOU.value(sum(members[k][i] for i, k in enumerate(chosen))))
            for chosen in product(range(3), repeat=6)
        ]
        assert min(every) - 1e-12 <= found <= min(every) + 0.03
        assert found <= min(float(MIOU.value(member.sum(axis=0))) for member in members)


def test_a_worst_case_is_never_above_the_lowest_of_its_members():
    members = [scores(seed, attacked=0.5, gfr=0.5)[0] for seed in range(3)]
    together = worst_case(members, chance=False)
    assert point(together, "robust") <= min(point(member, "robust") for member in members)
    assert point(together, "gfr") >= max(point(member, "gfr") for member in members)
    assert (together.images.seconds == 3).all()


def test_the_worst_case_of_pixel_accuracy_is_that_of_every_image():
    rng = np.random.default_rng(0)
    parts = [counts(rng, 20, 0.5) for _ in range(2)]
    members = []
    for part in parts:
        columns = dict.fromkeys(("clean", "attacked", "gfr", "floor"), part)
        spent = dict.fromkeys(("forwards", "backwards", "seconds"), np.ones(20))
        outcomes = Outcomes(samples=np.arange(20), images=spent, metrics={"confusions": columns})
        members.append(Scores.of(outcomes, "pixel-accuracy", ACCURACY))
    found = worst_case(members, chance=False)
    each = [part[:, :CLASSES].sum(axis=1) for part in parts]
    assert point(found, "robust") == pytest.approx(np.minimum(*each).sum() / (20 * 30))


def test_the_mean_over_seeds_is_that_of_what_each_comes_to():
    members, columns = zip(*(scores(seed, attacked=0.3 * seed + 0.2) for seed in range(3)), strict=True)
    together = mean_over_seeds(members)
    each = [float(MIOU.value(column["attacked"].sum(axis=0))) for column in columns]
    assert point(together, "attacked") == pytest.approx(np.mean(each))
    assert rate(together, "attacked").mean == pytest.approx(np.mean(each))
    for column in ("gfr", "floor", "clean", "robust"):
        assert point(together, column) == pytest.approx(np.mean([point(one, column) for one in members]))
    gap = difference_between(members[0], together, "attacked")
    assert gap.difference == pytest.approx(np.mean(each) - each[0])
    assert gap.low < gap.difference < gap.high


def test_the_mean_of_all_and_nothing_is_a_half():
    """Not 68.6, as one mIoU of both would be."""
    whole, broken = np.tile([4.0, 4, 0, 0, 0, 0], (5, 1)), np.tile([0.0, 0, 4, 4, 4, 4], (5, 1))
    members = []
    for counted in (whole, broken):
        columns = dict.fromkeys(("clean", "attacked", "gfr", "floor"), counted)
        images = {"linf": np.zeros(5)}
        outcomes = Outcomes(samples=np.arange(5), images=images, metrics={"confusions": columns})
        members.append(Scores.of(outcomes, "miou", Segmentation(classes=2).metrics["miou"]))
    assert [point(member, "gfr") for member in members] == [0, 1]
    assert point(mean_over_seeds(members), "gfr") == 0.5


def test_errors_are_worse_where_they_are_larger():
    error = Metric(statistics=lambda p, r: p, range=4.0, error=True)
    images = {"linf": np.zeros(3)}
    columns = {
        "clean": np.array([1.0, 2, 0]),
        "attacked": np.array([3.0, 1, 0]),
        "gfr": np.zeros(3),
        "floor": np.zeros(3),
    }
    found = Scores.of(Outcomes(samples=np.arange(3), images=images, metrics={"error": columns}), "error", error)
    assert found.images.robust.tolist() == [3, 2, 0]
    assert point(found, "robust") == pytest.approx(1 - 5 / 3 / 4)


def test_what_are_no_scores_of_the_metric():
    for columns in ({}, {"confusions": {"clean": np.ones((2, 7)), "gfr": np.ones((2, 7)), "floor": np.ones((2, 7))}}):
        with pytest.raises((KeyError, ValueError)):
            Scores.of(Outcomes(samples=np.arange(2), images={}, metrics=columns), "miou", MIOU)


@pytest.mark.parametrize("images", [0, 1])
def test_too_few_images(images):
    if images:
        assert estimate_of_value(np.ones((1, 2)), mean_of_ones)[1:] == (0, 1)
        return
    with pytest.raises(InputError, match="at least one"):
        estimate_of_value(np.ones((0, 2)), mean_of_ones)
    with pytest.raises(InputError, match="at least one"):
        difference_of_values(np.ones((0, 2)), np.ones((0, 2)), mean_of_ones)


def test_scores_of_means_are_what_the_ledger_has():
    mean = Metric(statistics=lambda p, r: p)
    columns = {name: np.array([0.0, 1.0]) for name in ("clean", "attacked", "gfr", "floor")}
    found = Scores.of(
        Outcomes(samples=np.arange(2), images={"linf": np.zeros(2)}, metrics={"top1": columns}), "top1", mean
    )
    assert sorted(found.images) == ["attacked", "clean", "floor", "gfr", "linf", "robust", "sample"]
    assert not found.behind
