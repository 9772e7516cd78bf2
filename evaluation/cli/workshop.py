"""Commands for developers of attacks, defenses and networks; `main.py` registers them."""

from pathlib import Path
from typing import Annotated

import typer

from .arguments import Catalogued, Device, Plugins, load_plugins, named_folder


def catalogue(kind: Annotated[Catalogued, typer.Argument(help="attacks, defenses or recipes")]) -> None:
    """Print the reference page of all attacks, all defenses, or recipes and their results, as Markdown."""
    from ..recipe.plugins import REGISTRIES
    from .catalogue import attack_page, defense_page
    from .reference import recipe_page

    pages = {
        Catalogued.attacks: lambda: attack_page(REGISTRIES["attacks"]),
        Catalogued.defenses: lambda: defense_page(REGISTRIES["defenses"]),
        Catalogued.recipes: recipe_page,
    }
    print(pages[kind](), end="")


def check_promises(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE.py:NAME",
            help="An attack, a defense, a model or a data set, by name or where it is.",
        ),
    ],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, a parameter; TOML values.")] = None,
    device: Device = "auto",
    plugin: Plugins = None,
) -> None:
    """Check that an attack, defense, model or data set keeps its contract, and say what is broken and how to fix it."""
    load_plugins(plugin)
    from ..opening.overrides import parse_overrides
    from ..report.results import choose_device
    from .check import show

    if not show(subject, parse_overrides(overrides or []), choose_device(device)):
        raise typer.Exit(1)


def train(
    name: Annotated[str, typer.Argument(help="A network of `foolbench list models`, or a defense that learns.")],
    out: Annotated[
        Path | None,
        typer.Option(
            parser=named_folder,
            metavar="DIR",
            help="For a network: folder for weights and card, over the shipped ones if not given.",
        ),
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="For a defense: KEY=VALUE, a parameter.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="For a defense: what it learns from; scenes if not given.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="For a defense: the network it is to defend; scenes:caffenet if not given.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="For a defense: the seed of the recipe that will use it; 0 if not given.")
    ] = None,
    device: Device = "auto",
    plugin: Plugins = None,
) -> None:
    """Train a network of the zoo on its embedded data, or a defense that learns.

    Interrupted training of a network continues where it stopped. Runs train their defenses by themselves.
    """
    load_plugins(plugin)
    from ..cli import train

    options = {"set": overrides, "dataset": dataset, "model": model, "seed": seed}
    train.train(name, out, device, {option: value for option, value in options.items() if value not in (None, [])})
