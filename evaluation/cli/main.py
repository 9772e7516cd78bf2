"""The commands of the command line. Exit code 1 stands for failed cells, 2 for bad input, 3 for a failed gate.

This file declares the commands and their options only. Each command imports its implementation, from the files beside
this one, when it runs: torch and pandas take seconds to import, which `--version`, `--help` and shell completion avoid.
"""

import gc
import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from .arguments import (
    Address,
    By,
    CacheFolder,
    CacheSize,
    Device,
    ExecutorKind,
    ExecutorName,
    Formats,
    Kind,
    NoCache,
    Out,
    Overrides,
    Plugins,
    Rate,
    ReportFolder,
    Runs,
    Source,
    Speeds,
    Workers,
    load_plugins,
    named_folder,
)
from .imports import undisturbed
from .storage import app as cache_app
from .workshop import catalogue, check_promises, train

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line, and report a FoolbenchError or lost output as one sentence with exit code 2."""
    if sys.stdout is None:  # it was closed before the start; the results are in files
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (as long as the process lives)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # schedulers end a job by SIGTERM: handle it as Ctrl-C
    try:
        try:
            app()
        finally:  # also on SystemExit: an error in the flush at the interpreter's exit could no longer be handled
            sys.stdout.flush()
            gc.freeze()  # the process ends here: a last garbage collection of torch's objects takes most of a second
    except OSError as error:
        from .console import lost_output

        if not lost_output(error):
            raise
        sys.exit(2)
    except Exception as error:
        from ...core.errors import FoolbenchError

        if not isinstance(error, FoolbenchError):
            raise
        from .console import complain

        complain(str(error))
        sys.exit(2)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version("foolbench"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A benchmark for adversarial robustness: attacks x defenses, scored as generalized fooling rate."""


@app.command()
def run(
    recipe: Source,
    out: Out = None,
    overrides: Overrides = None,
    device: Device = "auto",
    workers: Workers = None,
    executor: ExecutorName = ExecutorKind.local,
    address: Address = None,
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    cache_size: CacheSize = None,
    plugin: Plugins = None,
) -> None:
    """Run a recipe and print its table. The same command again continues an interrupted run.

    Exit code 1 if cells failed, 3 if no cell but a gate of the recipe failed, 130 if the run was interrupted.
    """
    load_plugins(plugin)
    from ..cli import run
    from ..engine.executors.machines import Machines
    from .cache import chosen

    machines = Machines(executor=executor.value, workers=workers, address=address, gpus=device != "cpu")
    run.run(recipe, out, overrides or [], device, machines, chosen(cache, cache_size, none=no_cache))


@app.command()
def report(
    runs: Runs = None,
    formats: Formats = None,
    out: ReportFolder = None,
    images: Annotated[
        bool, typer.Option("--images", help="Also images.csv: what each row came to on every image.")
    ] = False,
    speed: Speeds = None,
    plugin: Plugins = None,
) -> None:
    """Print the results of runs, computed anew from their ledgers, and write a page, tables or figures for a paper."""
    if bool(runs) == (speed is not None):
        raise typer.BadParameter("expected the folder of a run, or --speed F.json")
    if speed is not None and (formats or images):
        raise typer.BadParameter("--speed makes a table and a page; --format and --images go with the folder of a run")
    if speed is not None:
        from .speed import show

        show(speed, out)
    if runs:
        load_plugins(plugin)
        from .report import report

        report(runs, formats or [], out, images=images)


@app.command()
def compare(
    folder: Annotated[Path, typer.Argument(parser=named_folder, metavar="RUN", help="The folder of a run.")],
    other: Annotated[
        Path | None,
        typer.Argument(
            parser=named_folder, metavar="[RUN]", help="Another one, on the same images: equal rows of both."
        ),
    ] = None,
    by: Annotated[By | None, typer.Option(help="What the rows differ in; of one run defense if not given.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="What others are compared with; of one run `none` for defenses, if not given.")
    ] = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Each defense with each.")] = False,
    of: Annotated[Rate, typer.Option(help="The rate: fooling, or right under attack.")] = Rate.gfr,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write all columns there.")] = None,
    plugin: Plugins = None,
) -> None:
    """Compare systems on the same images: differences, their significance, and how many images would show them."""
    load_plugins(plugin)
    from ..report.comparison import compare
    from .compare import show

    found = compare(
        folder, other, by=None if by is None else by.value, baseline=baseline, all_pairs=all_pairs, of=of.value
    )
    show(found, as_json=as_json, csv=csv)


@app.command()
def verify(
    run: Annotated[
        Path, typer.Argument(parser=named_folder, metavar="DIR|FILE.csv", help="The folder of a run, or its table.")
    ],
    row: Annotated[
        list[int] | None, typer.Option(help="Number of a row of leaderboard.csv; the first below the heading is 1.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every row.")] = False,
    sample: Annotated[int | None, typer.Option(min=1, help="So many rows, by chance; 3 if nothing says which.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of --sample; a new one, which is printed, if not given.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="For a table without its folder: what it was made by.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="For that recipe: KEY=VALUE.")] = None,
    device: Device = "auto",
    plugin: Plugins = None,
) -> None:
    """Recompute rows of a finished run. Exit code 1, with the reason, if one does not hold."""
    load_plugins(plugin)
    from .verify import chosen, claimed, show

    claims = claimed(run, recipe, overrides or [])
    show(claims, chosen(claims, row or [], everything=everything, sample=sample, seed=seed), device)


@app.command()
def plan(
    recipe: Source,
    overrides: Overrides = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="For so many processes.")] = 1,
    only_list: Annotated[bool, typer.Option("--list", help="Only the cells.")] = False,
    plugin: Plugins = None,
) -> None:
    """List the cells of a recipe and forecast their cost on this device, measured on a few images of each."""
    load_plugins(plugin)
    from .plan import plan

    plan(recipe, overrides or [], device, workers, only_list=only_list)


@app.command()
def demo(
    picture: Annotated[
        Path | None, typer.Argument(metavar="IMAGE", help="A picture; a photograph of scikit-image if not given.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Address of a network; imagenet:efficientnet-lite0 where it is installed.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="Class to reach, by default a black swan or the most unlikely one; for maps an aim, as flip-up-down."
        ),
    ] = None,
    eps: Annotated[str, typer.Option(help="Budget of each pixel, for pixels in 0..1.")] = "2/255",
    out: Annotated[Path, typer.Option(help="PNG file: the images, and what was changed.")] = Path("demo.png"),
    overrides: Annotated[list[str] | None, typer.Option("--set", help="For the model: KEY=VALUE, a parameter.")] = None,
    plugin: Plugins = None,
) -> None:
    """Attack one picture, and show what a network predicts for it, with each defense and without."""
    load_plugins(plugin)
    from ..demo.subject import network
    from ..opening.overrides import parse_overrides
    from .demo import demo

    with undisturbed():
        subject = network(model, parse_overrides(overrides or []))
    demo(picture, subject, target, eps, out)


@app.command("list")
def list_names(
    kind: Kind, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False, plugin: Plugins = None
) -> None:
    """List all attacks, defenses, models, datasets or recipes."""
    load_plugins(plugin)
    from .names import show

    show(kind, as_json=as_json)


@app.command()
def describe(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE.py:NAME", help="An attack, a defense, a model or its address, a data set or a recipe."
        ),
    ],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="For a model, data or a recipe: KEY=VALUE.")
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Describe an attack, defense, model, data set or recipe: what it is and its parameters; of a model, its layers."""
    load_plugins(plugin)
    from .console import say
    from .describe import description

    say(description(name, overrides or []))


app.add_typer(cache_app, name="cache")
app.command()(catalogue)
app.command("check")(check_promises)
app.command()(train)
