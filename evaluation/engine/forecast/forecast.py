"""Forecast the costs of a run, by simulating its schedule with the measured rates of its steps."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from ...ledger.ledger import Costs
from ..networks.networks import batches
from ..networks.prepare import Prepared
from ..work.planning import Pending, Plan
from ..work.schedule import Schedule, Step
from ..work.units import Look, Score, Search, Teach
from .calibration import Calibration

OUTCOME = 40
"""The most bytes that an image of a cell takes in the ledger."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The costs, at most, of a whole run with an empty cache.

    `forwards` counts images that go forward, `backwards` gradients that come back. `seconds` is the time until the run
    ends; `learning` and `searching` are the seconds that all processes together spend on what defenses learn and on
    universal perturbations. `memory` is in bytes, per process; `disk` in bytes. Searches may end before their last
    iteration, and images take less room in the cache, so a run may cost less.
    """

    cells: int
    forwards: float
    backwards: float
    seconds: float
    learning: float
    searching: float
    memory: int
    disk: float


def forecast(prepared: Prepared, found: Calibration, places: int = 1) -> Forecast:
    """Forecast a run by `places` processes, each as fast as the calibrated one."""
    recipe, grid, samples = prepared.recipe, prepared.grid, prepared.facts.samples
    plan = Plan(grid=grid, batches=list(batches(samples, recipe.shard)), known=(), kept=())
    for job, row in grid.rows:
        if grid.key(job) in found.scores:
            plan.add(job, [Pending(cell, grid.key(cell), set(samples)) for cell in row])
    spent, seconds = _simulated(plan, found, places)
    cells = sum(len(row) for _, row in grid.rows)
    images = sum(found.image.values()) * len(samples) if recipe.keep_images else 0
    return Forecast(
        cells=cells,
        forwards=spent.forwards,
        backwards=spent.backwards,
        seconds=seconds,
        learning=sum(costs.seconds for costs in found.lessons.values()),
        searching=sum(costs.seconds for costs in found.searches.values()),
        memory=found.peak,
        disk=images + cells * (len(samples) * OUTCOME + found.example),
    )


def _simulated(plan: Plan, found: Calibration, places: int) -> tuple[Costs, float]:
    """Return the costs of all steps together, and the time in seconds at which the last one ends."""
    schedule, spent, now = Schedule(plan.waits, places), Costs(), 0.0
    busy: list[tuple[float, int, Step]] = []
    begun: set[tuple[int, str]] = set()
    idle: Sequence[int] = range(places)
    while schedule:
        waiting = []
        for place in idle:
            step = schedule.take(place)
            if step is None:
                waiting.append(place)
                continue
            costs = _costs(step, found, place, begun)
            spent = spent.plus(costs)
            heapq.heappush(busy, (now + costs.seconds, place, step))
        if not busy:
            break
        now, place, step = heapq.heappop(busy)
        schedule.done(step)
        idle = [*waiting, place]
    return spent, now


def _costs(step: Step, found: Calibration, place: int, begun: set[tuple[int, str]]) -> Costs:
    """Return the costs of a step at a place, with those of its kind's first call unless that has `begun` there."""
    match step:
        case Search():
            return found.searches[step.job]
        case Teach():
            return found.lessons.get((step.network, step.defense), Costs())
        case Look():
            what, rate = step.network, found.looks[step.network]
        case Score():
            what, rate = step.job, found.scores[step.job]
        case _:
            return Costs()
    first = (place, what) not in begun
    begun.add((place, what))
    return rate.costs(len(step.samples), first=first)
