"""`foolbench plan`: list the cells of a recipe and forecast what they cost on this device."""

import os
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from rich.filesize import decimal

from ...core.repeatable import repeatable
from ...core.words import counted
from ..engine.cache.cache import Cache
from ..engine.forecast.calibration import Calibrator
from ..engine.forecast.forecast import Forecast, forecast
from ..engine.forecast.foreseen import Foreseen
from ..engine.networks.prepare import prepare
from ..engine.networks.setup import Setup
from ..engine.work.progress import Progress
from ..grid.cells import Cell, Job
from ..grid.grid import spanned
from ..ledger.ledger import Ledger
from ..opening.recipes import load_recipe
from ..recipe.recipe import Recipe
from ..report.execution import scored_images
from ..report.results import LEDGER, choose_device
from .console import console, say


def plan(name: str, overrides: list[str], device: str, workers: int, *, only_list: bool) -> None:
    """Print the cells of a recipe and, unless `only_list`, its cost. Raises FoolbenchError if it cannot run."""
    recipe = load_recipe(name, overrides)
    for job, row in spanned(recipe):
        say(_line(recipe, job, row))
    images = scored_images(recipe)
    console.print(f"{counted(images // recipe.samples, 'cell')}, {counted(images, 'scored image')}", style="bold")
    if not only_list:
        _forecast(recipe, choose_device(device), workers)


def _line(recipe: Recipe, job: Job, row: Sequence[Cell]) -> str:
    """Say in one line what a job crafts, and where that is scored."""
    known = "oblivious" if job.through.defense is None else f"through {job.through.defense}"
    knowledge = f"{known}: " if len(recipe.knowledge) > 1 else ""
    models = ", ".join(dict.fromkeys(cell.model for cell in row))
    scored = f" > [{models}]" if models != job.source else ""
    defenses = ", ".join(dict.fromkeys(str(cell.defense.defense or cell.defense.name) for cell in row))
    training = "".join(f", {key} {value}" for key, value in job.training.told.items())
    return f"{job.source}{scored} x {knowledge}{job.attack}{training} x [{defenses}]"


def _forecast(recipe: Recipe, device: str, workers: int) -> None:
    start = time.perf_counter()
    if workers > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))  # as many as each worker will have
    with (
        repeatable(device),
        TemporaryDirectory(prefix="foolbench-") as folder,
        closing(Ledger(Path(folder) / LEDGER)) as ledger,
        Progress(console, 1, recipe.name) as progress,
    ):
        prepared = prepare(recipe, ledger, device)
        loading = time.perf_counter() - start
        cache = Cache.default()
        setup = Setup.of(prepared, ledger, Path(folder), device, cache=cache, crafted_anew=True)
        found = Calibrator(prepared, setup, progress).calibrate()
        Foreseen(cache, prepared.grid, device).keep(found)
    for message in dict.fromkeys(found.failed.values()):
        say(f"Some of it fails: {message}", style="red")
    _show(forecast(prepared, found, workers), loading, workers)
    say(f"Calibrated in {_clock(time.perf_counter() - start)}.", style="dim")


def _show(found: Forecast, loading: float, workers: int) -> None:
    by = f" by {workers} processes" if workers > 1 else ""
    memory = f"{decimal(found.memory)} of memory{' each' * (workers > 1)}" if found.memory else "memory unknown"
    say(
        f"At most about {_clock(found.seconds + loading)}{by}, {found.forwards:,.0f} images forward, "
        f"{found.backwards:,.0f} gradients back, {memory}, {decimal(int(found.disk))} of disk; "
        "less where the cache holds some of it. Tables and page come after that."
    )
    once = {"learned by defenses": found.learning, "searched for universal perturbations": found.searching}
    if told := [f"for {_clock(seconds)} is {what}" for what, seconds in once.items() if seconds >= 1]:
        say(f"Of that, {' and '.join(told)}, once: other runs find it in the cache.")


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
