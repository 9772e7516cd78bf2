"""The command line. Bad input ends with one sentence and exit code 2, failed cells with exit code 1."""

import json
import signal
import sys
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from ...core.errors import ConfigError, FoolbenchError, OutputError
from ..conformance import check, find, named, prepared
from ..engine import grid
from ..engine.prepare import prepare
from ..engine.progress import Progress
from ..engine.run import run as run_recipe
from ..recipe.plugins import REGISTRIES, load_plugins
from ..recipe.recipe import Recipe, load_recipe, parse_overrides, shipped_recipes
from ..report.results import Results, choose_device, read_leaderboard, read_manifest
from ..report.tables import terminal
from .catalogue import attack_page, defense_page
from .describe import description
from .reference import recipe_page
from .screen import complain, console, lost_output, say
from .train import train as train_entry
from .train import train_defense

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="A Python file that registers attacks, defenses, …")
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, overrides the recipe; TOML values.")]
Source = Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a shipped recipe, or a TOML file.")]


class Kind(StrEnum):
    """What `foolbench list` lists."""

    attacks = "attacks"
    defenses = "defenses"
    models = "models"
    datasets = "datasets"
    recipes = "recipes"


class Catalogued(StrEnum):
    """What `foolbench catalogue` has a page of."""

    attacks = "attacks"
    defenses = "defenses"
    recipes = "recipes"


def main() -> None:
    """Entry point: turns the errors that foolbench raises on purpose into one sentence and exit code 2."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # by which schedulers end a job: the same as Ctrl-C
    try:
        app()
        sys.stdout.flush()
    except FoolbenchError as error:
        complain(str(error))
        sys.exit(2)
    except OSError as error:
        if not lost_output(error):
            raise
        sys.exit(2)


def _folder(text: str) -> Path:
    """Of `--out`: an empty one is a variable that a script has forgotten to set, and not the current folder."""
    if not text.strip():
        raise typer.BadParameter("expected the name of a folder, got none; the current one is --out .")
    return Path(text)


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
    out: Annotated[
        Path | None,
        typer.Option(
            parser=_folder, metavar="DIR", help="Result folder; runs/RECIPE if not given. Resumes what lies there."
        ),
    ] = None,
    overrides: Overrides = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …")] = "auto",
    plugin: Plugins = None,
) -> None:
    """Run a recipe and print its table. The same command again continues a run that was broken off."""
    load_plugins(plugin or [])
    loaded = load_recipe(recipe, overrides)
    device = choose_device(device)
    folder = out or Path("runs") / loaded.name
    interrupted = False
    with Results(folder) as results:
        prepared = prepare(loaded)
        results.write_manifest(loaded, prepared.facts, device)
        try:
            with Progress(console, _images(loaded), loaded.name) as progress:
                run_recipe(prepared, results.ledger, folder, device=device, progress=progress)
        except KeyboardInterrupt:
            interrupted = True
        finally:  # also where nothing can be shown any more
            table = results.write_leaderboard(loaded, prepared.facts)
    console.print(terminal(table))
    say(f"Written to {folder}: leaderboard.csv, leaderboard.md, manifest.json, ledger.sqlite", style="dim")
    if interrupted:
        console.print("Interrupted. What is finished is kept; the same command goes on from there.", style="yellow")
        raise typer.Exit(130)
    failed = int((table.status != "ok").sum())
    if failed:
        console.print(f"{failed} of {len(table)} cells failed.", style="red")
        raise typer.Exit(1)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of an earlier run.")], plugin: Plugins = None
) -> None:
    """Make the tables of an earlier run anew from its ledger."""
    load_plugins(plugin or [])
    recipe, facts = read_manifest(folder)
    table = read_leaderboard(folder, recipe, facts)
    try:
        results = Results(folder)
    except OutputError as error:
        console.print(terminal(table))
        say(f"Nothing was written: {error}", style="yellow")
        return
    with results:
        results.rewrite_leaderboard(table)
    console.print(terminal(table))


@app.command()
def plan(recipe: Source, overrides: Overrides = None, plugin: Plugins = None) -> None:
    """Show the cells that a recipe spans, without running anything."""
    load_plugins(plugin or [])
    loaded = load_recipe(recipe, overrides)
    for model in loaded.models:
        for job, row in grid.cells(loaded, model):
            knowledge = f"{row[0].knowledge}: " if len(loaded.knowledge) > 1 else ""
            defenses = ", ".join(str(cell.defense.defense or cell.defense.name) for cell in row)
            say(f"{model} x {knowledge}{job.attack} x [{defenses}]")
    console.print(f"{_images(loaded) // loaded.samples} cells, {_images(loaded)} scored images", style="bold")


@app.command("list")
def list_names(
    kind: Kind, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False, plugin: Plugins = None
) -> None:
    """List what has a name."""
    load_plugins(plugin or [])
    if kind is Kind.recipes:
        entries = {name: load_recipe(name).description for name in shipped_recipes()}
    else:
        registry = REGISTRIES[kind]
        entries = {name: (registry[name].__doc__ or "").strip().partition("\n")[0] for name in registry}
        for family in registry.families.values():
            entries |= family.summaries
    if as_json:
        print(json.dumps(entries, indent=2))
        return
    table = Table("name", "what it is")
    for name, text in entries.items():
        table.add_row(Text(name), Text(text))
    console.print(table)


@app.command()
def describe(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.py:Class", help="An attack or a defense.")],
    plugin: Plugins = None,
) -> None:
    """Say what an attack or a defense does, and what its parameters are."""
    load_plugins(plugin or [])
    say(description(name, find(name)))


@app.command()
def catalogue(kind: Annotated[Catalogued, typer.Argument(help="attacks, defenses or recipes")]) -> None:
    """Print the page of all attacks, of all defenses, or of recipes and what they leave, as Markdown."""
    pages = {
        Catalogued.attacks: lambda: attack_page(REGISTRIES["attacks"]),
        Catalogued.defenses: lambda: defense_page(REGISTRIES["defenses"]),
        Catalogued.recipes: recipe_page,
    }
    print(pages[kind](), end="")


@app.command("check")
def check_promises(
    subject: Annotated[
        str, typer.Argument(metavar="NAME|FILE.py:Class", help="An attack or a defense, by name or where it is.")
    ],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, a parameter; TOML values.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …")] = "auto",
    plugin: Plugins = None,
) -> None:
    """Check what an attack or a defense promises, and say which promise is not kept, what was seen, what to do."""
    load_plugins(plugin or [])
    device = choose_device(device)
    found = check(prepared(named(subject, parse_overrides(overrides or []))), device)
    for name, seen in found.items():
        verdict = ("kept", "green") if seen is None else ("BROKEN", "red")
        console.print(Text.assemble(verdict, "  ", name.replace("_", " ")))
        if seen is not None:
            say(f"        {seen}")
    broken = sum(seen is not None for seen in found.values())
    say(f"{subject} keeps {len(found) - broken} of {len(found)} promises.")
    if broken:
        raise typer.Exit(1)


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="A network of `foolbench list models`, or a defense that learns.")],
    out: Annotated[
        Path | None,
        typer.Option(
            parser=_folder,
            metavar="DIR",
            help="For a network: folder for weights and card, over the shipped ones if not given.",
        ),
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="For a defense: KEY=VALUE, a parameter.")] = None,
    dataset: Annotated[str, typer.Option(help="For a defense: what it learns from.")] = "scenes",
    model: Annotated[str, typer.Option(help="For a defense: the network it is to defend.")] = "scenes:caffenet",
    seed: Annotated[int, typer.Option(help="For a defense: that of the recipes which will use it.")] = 0,
    device: Annotated[str, typer.Option(help="For a defense: auto, cpu, cuda, cuda:1, …")] = "auto",
    plugin: Plugins = None,
) -> None:
    """Train a network of the zoo on its embedded data, or a defense that learns.

    The training of a network continues where it was broken off. A run trains by itself what its defenses lack.
    """
    load_plugins(plugin or [])
    if name not in REGISTRIES["defenses"]:
        with Progress(console, 1, name) as progress:
            say(f"Written: {train_entry(name, progress, out)}")
        return
    if out is not None:
        raise ConfigError("--out is for networks: what a defense learns is kept in the user's cache, for runs to find.")
    parameters = parse_overrides(overrides or [])
    with Progress(console, 1, name) as progress:
        written = train_defense(
            name, parameters, dataset=dataset, model=model, seed=seed, device=choose_device(device), progress=progress
        )
    for path in written:
        say(f"Written: {path}")


def _images(recipe: Recipe) -> int:
    return recipe.samples * sum(len(row) for model in recipe.models for _, row in grid.cells(recipe, model))
