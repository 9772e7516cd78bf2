"""Execute a recipe and write its results: the code that `foolbench run`, `foolbench.evaluate` and pytest share."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.console import Console

from ...core.errors import OutputError
from ...core.repeatable import repeatable
from ..engine.cache.cache import Cache
from ..engine.cache.exclusive import exclusive
from ..engine.executors.in_process import InProcess
from ..engine.executors.machines import Machines
from ..engine.forecast.foreseen import Foreseen
from ..engine.networks.networks import Networks
from ..engine.networks.prepare import prepare
from ..engine.networks.setup import Setup
from ..engine.run import Engine, run
from ..engine.work.progress import Progress
from ..grid.grid import spanned
from ..grid.planned import planned
from ..grid.sources import typed_code_at_rest
from ..leaderboard.source import ScoredRun
from ..leaderboard.verdicts import Verdict, verdicts
from ..ledger.ledger import Ledger
from ..recipe.recipe import Recipe
from .manifest import write_manifest
from .results import LEDGER, Results

HERE = Machines()


class Execution(NamedTuple):
    """The outcome of a run: the leaderboard so far, the verdicts of the gates, and whether it was interrupted."""

    table: pd.DataFrame
    verdicts: list[Verdict]
    interrupted: bool


@typed_code_at_rest()
def execute(
    recipe: Recipe,
    folder: Path,
    device: str,
    console: Console,
    machines: Machines = HERE,
    *,
    cache: Cache | None = None,
    crafted_anew: bool = False,
) -> Execution:
    """Run the cells that the folder's ledger lacks, and write its files.

    Fitted defenses and, unless `crafted_anew`, crafted images are taken from the `cache` that runs share. Raises
    FoolbenchError if the run cannot start or continue.
    """
    interrupted = False
    with Results(folder) as results, repeatable(device):
        prepared = prepare(recipe, results.ledger, device)
        scored = results.run(recipe, prepared.facts)
        results.write_manifest(scored, device)
        try:
            setup = Setup.of(prepared, results.ledger, folder, device, cache=cache, crafted_anew=crafted_anew)
            with (
                Progress(console, scored_images(recipe), recipe.name) as progress,
                closing(machines.executor_for(prepared, setup, progress)) as executor,
            ):
                foreseen = None if cache is None else Foreseen(cache, prepared.grid, setup.device)
                run(prepared, results.ledger, folder, executor=executor, progress=progress, foreseen=foreseen)
        except KeyboardInterrupt:
            interrupted = True
        except BaseException:  # such as output that can no longer be printed
            with suppress(OutputError):  # the error itself says more than that there is no table
                results.write_leaderboard(scored)
            raise
        table = results.write_leaderboard(scored)
        judged = verdicts(scored, planned(recipe)) if recipe.gates else []
    return Execution(table, judged, interrupted)


@contextmanager
def joined(
    recipe: Recipe, folder: Path, device: str, command: Sequence[str]
) -> Iterator[tuple[Engine, Networks, ScoredRun]]:
    """Join a run as one of its processes; yield its engine, its networks, and the run as the ledger scores it.

    The folder is held by the `Results` of this or another process. Processes join one after the other: the first
    records the identities of networks and data, and the others must agree with them. Raises FoolbenchError if the
    process cannot start or continue.
    """
    with ExitStack() as stack:
        stack.enter_context(repeatable(device))
        with exclusive(folder, "beginning"):
            ledger = stack.enter_context(closing(Ledger(folder / LEDGER)))
            progress = stack.enter_context(Progress(Console(quiet=True), 1, recipe.name))
            prepared = prepare(recipe, ledger, device)
            for key in prepared.grid.cells:
                ledger.repair(key)
            scored = ScoredRun(recipe=recipe, facts=prepared.facts, ledger=ledger)
            write_manifest(folder, scored, device, command)
            executor = InProcess(prepared, Setup.of(prepared, ledger, folder, device, cache=Cache.default()), progress)
            engine = Engine.begin(prepared, ledger, folder, executor=executor, progress=progress)
        stack.enter_context(closing(executor))
        yield engine, executor.networks, scored


def scored_images(recipe: Recipe) -> int:
    """Return the number of images that are scored, summed over all cells."""
    return recipe.samples * sum(len(row) for _, row in spanned(recipe))
