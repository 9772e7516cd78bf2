"""A unit that is lost is tried again; only what processes die of by themselves is held against it."""

from types import SimpleNamespace

import pytest
from foolbench.evaluation.engine.driver import LOSSES
from foolbench.evaluation.engine.executors.in_process import InProcess
from foolbench.evaluation.engine.work.units import Lost, Score

DIES, GOES = Lost("was killed"), Lost("lost its machine", suspect=False)


class Losing(InProcess):
    """Carries each unit that scores out only after all of these losses."""

    def __init__(self, losses, *arguments):
        super().__init__(*arguments)
        self._losses, self._tried, self._lost = losses, {}, None

    def begin(self, place, unit, following):
        tries = self._tried.setdefault(unit, iter(self._losses)) if isinstance(unit, Score) else iter(())
        self._lost = next(tries, None)
        super().begin(place, unit, following)

    def wait(self):
        if self._lost is None:
            return super().wait()
        lost, self._lost, self._begun = self._lost, None, None
        return 0, lost


@pytest.fixture
def table(execute):
    """`table(*losses)`: of a run that has met them over every unit that scores."""

    def table(*losses):
        machines = SimpleNamespace(executor_for=lambda *arguments: Losing(losses, *arguments))
        attacks = "attacks=[{name='uniform-noise'}, {name='pgd', steps=2}]"
        return execute("out", attacks, "batch_size=8", machines=machines)

    return table


@pytest.mark.parametrize("losses", [[DIES], [DIES, GOES], [GOES, GOES, DIES], [GOES] * (LOSSES - 1)])
def test_a_machine_that_is_lost_is_not_held_against_what_ran_on_it(table, execute, assert_same, losses):
    assert_same(table(*losses), execute("undisturbed", "attacks=[{name='uniform-noise'}, {name='pgd', steps=2}]"))


@pytest.mark.parametrize(
    ("losses", "counts", "why"),
    [
        ([DIES, DIES], (2, 3, 4), "was killed"),
        ([DIES, GOES, DIES], (3, 4, 5), "was killed"),
        ([GOES] * LOSSES, (LOSSES,), "lost its machine"),
    ],
)
def test_what_processes_die_of_or_machines_fail_of_is_an_error(table, losses, counts, why):
    """What kills processes is one cell after the other; machines that go say nothing about any of them."""
    found = table(*losses)
    assert set(found.status) == {"error"}
    lost = "processes were lost over this, the last one"
    assert set(found.error) == {f"WorkerLost: {count} {lost} {why}" for count in counts}
