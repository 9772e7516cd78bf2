"""What a run will cost: the rates of its steps, added up along the schedule that it will follow."""

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
"""Bytes of the ledger for an image of a cell, at most."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Of a whole run, of which nothing is in the cache: images forward, gradients back, seconds, bytes of memory of one
    process, bytes of disk. Of the seconds, all processes together spend some on what defenses learn (`learning`) and on
    universal perturbations (`searching`).

    Searches may end before their last iteration, and images take less room in the cache: so it is at most that.
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
    """By so many processes, each as fast as the one that was calibrated."""
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
    """What all steps cost together, and when the last one ends."""
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
    """Of a step there, which pays for what each process does once where that is not `begun` yet."""
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
