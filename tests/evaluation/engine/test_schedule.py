"""Units come in the order that is wished for, none before what it waits for, and keep to their places."""

from foolbench.evaluation.engine.work.schedule import Schedule
from foolbench.evaluation.engine.work.units import Look, Score, Search


def look(batch, network="a"):
    return Look(network=network, title="", samples=(batch,))


def score(batch, job="pgd", network="a"):
    return Score(network=network, title="", job=job, samples=(batch,), cells=("cell",))


def finish(schedule, place=0):
    """All that is left, in the order in which it is taken."""
    found = []
    while schedule:
        step = schedule.take(place)
        found.append(step)
        schedule.done(step)
    return found


def test_one_after_the_other_in_the_order_that_is_wished_for():
    search = Search(network="a", title="", job="uap")
    waits = {
        look(0): [],
        look(1): [],
        "a": [look(0), look(1)],
        search: ["a"],
        score(0): ["a"],
        score(1, "uap"): [search],
    }
    assert finish(Schedule(waits, 1)) == list(waits)


def test_nothing_is_taken_before_what_it_waits_for():
    search = Search(network="a", title="", job="uap")
    schedule = Schedule({search: [], score(0, "uap"): [search], score(0): []}, 2)
    assert schedule.take(0) == search
    assert schedule.take(1) == score(0)
    assert schedule.take(1) is None
    schedule.done(search)
    assert schedule.take(1) == score(0, "uap")


def test_a_place_keeps_to_its_shards_and_helps_out_when_they_are_done():
    steps = [score(batch, job) for job in ("fgsm", "pgd") for batch in range(4)]
    schedule = Schedule({step: [] for step in steps}, 2)
    assert [schedule.take(1).samples[0] for _ in range(5)] == [1, 3, 1, 3, 0]


def test_the_next_network_waits_until_there_is_nothing_else():
    steps = [score(0), score(2), score(1, network="b")]
    schedule = Schedule({step: [] for step in steps}, 2)
    assert schedule.take(1) == score(2)  # its own
    assert schedule.take(1) == score(0)
    assert schedule.take(1) == score(1, network="b")


def test_what_was_lost_is_taken_again_by_another_place():
    steps = [score(0), score(1), score(2)]
    schedule = Schedule({step: [] for step in steps}, 2)
    lost = schedule.take(0)
    schedule.again(lost, 0)
    assert schedule.take(0) == score(2)
    assert schedule.take(1) == lost
