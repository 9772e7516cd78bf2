"""What is left of a run takes what was foreseen, until the run has shown what it takes."""

import pytest
from foolbench.evaluation.engine.forecast.remaining import Remaining
from foolbench.evaluation.engine.work.units import Look, Score, Search, Teach


def look(*samples):
    return Look(network="net", title="", samples=samples)


def score(*samples, job="pgd"):
    return Score(network="net", title="", job=job, samples=samples, cells=("cell",))


SEARCH = Search(network="net", title="", job="uap")
STEPS = [look(0, 1), look(2), "net", SEARCH, score(0, 1), score(2), score(0, 1, job="uap"), score(2, job="uap")]
FORESEEN = {("look", "net"): 1, ("search", "uap"): 100, ("score", "pgd"): 10, ("score", "uap"): 2}


def test_nothing_is_known_before_something_is_done():
    assert Remaining(STEPS, {}, 1).seconds() is None


def test_what_was_foreseen_is_added_up_and_shared():
    assert Remaining(STEPS, FORESEEN, 1).seconds() == 3 * 1 + 100 + 3 * 10 + 3 * 2
    assert Remaining(STEPS, FORESEEN, 2).seconds() == (3 * 1 + 100 + 3 * 10 + 3 * 2) / 2


def test_of_other_recipes_nothing_counts():
    assert Remaining([look(0)], FORESEEN, 1).seconds() == 1


def test_the_first_unit_pays_for_what_is_done_once_the_second_corrects():
    remaining = Remaining([score(n) for n in range(10)], {("score", "pgd"): 10}, 1)
    remaining.done(score(0), 30)
    assert remaining.seconds() == 9 * 10
    remaining.done(score(1), 10)
    assert remaining.seconds() == 8 * (30 + 10) / 2


def test_the_first_one_is_all_that_is_known_where_nothing_was_foreseen():
    remaining = Remaining([score(0, 1), score(2, 3, 4)], {}, 1)
    remaining.done(score(0, 1), 8)
    assert remaining.seconds() == 3 * 4


def test_what_is_unknown_is_taken_for_the_mean_of_what_is_known():
    remaining = Remaining(STEPS, {("look", "net"): 1, ("score", "pgd"): 4}, 1)
    assert remaining.seconds() == pytest.approx(3 * 1 + 3 * 4 + (3 + 1) * 2.5)


def test_what_need_not_be_done_says_nothing():
    teach = Teach(network="net", title="", defense="pca")
    remaining = Remaining([teach, score(0), score(1)], {("score", "pgd"): 5}, 1)
    for unit in (teach, score(0)):
        remaining.done(unit, None)
    assert remaining.seconds() == 5
    remaining.done(score(1), None)
    assert remaining.seconds() == 0
