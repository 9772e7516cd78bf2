"""Arguments and options that several commands share, and the enums of their choices."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .imports import undisturbed


def named_folder(text: str) -> Path:
    """Return the path of a folder argument. Raises typer.BadParameter for an empty one.

    An empty name is most likely an unset variable of a script, and must not mean the current folder.
    """
    if not text.strip():
        raise typer.BadParameter("expected the name of a folder, got none; the current one is called .")
    return Path(text)


Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="A Python file that registers attacks, defenses, …")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="KEY=VALUE, overrides the recipe: samples=64, attacks.pgd.steps=40.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …")]
Out = Annotated[
    Path | None,
    typer.Option(
        parser=named_folder, metavar="DIR", help="Result folder; runs/RECIPE if not given. Resumes what lies there."
    ),
]
Speeds = Annotated[
    Path | None,
    typer.Option(
        metavar="F.json", help="Instead: the speeds that pytest-benchmark wrote, as CSV; with --out a page, too."
    ),
]
Source = Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a shipped recipe, or a TOML file.")]


class Kind(StrEnum):
    """The kinds of names that `foolbench list` shows."""

    attacks = "attacks"
    defenses = "defenses"
    models = "models"
    datasets = "datasets"
    recipes = "recipes"


class By(StrEnum):
    """The column in which the rows that `foolbench compare` compares differ."""

    defense = "defense"
    attack = "attack"
    model = "model"
    knowledge = "knowledge"


class Rate(StrEnum):
    """The rate that `foolbench compare` compares: fooling rate, or robust rate under attack."""

    gfr = "gfr"
    robust = "robust"


class Catalogued(StrEnum):
    """The pages that `foolbench catalogue` prints."""

    attacks = "attacks"
    defenses = "defenses"
    recipes = "recipes"


class ExecutorKind(StrEnum):
    """The executor of a run: processes of this machine, or a Ray cluster."""

    local = "local"
    ray = "ray"


Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Processes that share the work; this one alone if not given, with ray one for each GPU or processor.",
    ),
]
ExecutorName = Annotated[
    ExecutorKind,
    typer.Option("--executor", help="local: this machine; ray: a Ray cluster, with pip install 'foolbench\\[ray]'."),
]
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Of the Ray cluster, or auto; Ray on this machine alone if not given."),
]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        parser=named_folder,
        metavar="DIR",
        help="Where runs share what they craft and learn; FOOLBENCH_CACHE if not given, or the user's own cache.",
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Keep all in the result folder, for this run alone.")]
CacheSize = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="GB",
        help="Of the cache, which forgets what was not used for longest; FOOLBENCH_CACHE_SIZE if not given, or 20.",
    ),
]
Runs = Annotated[
    list[Path] | None,
    typer.Argument(
        parser=named_folder, metavar="RUN...", help="The folder of a run, or its table; several make one board."
    ),
]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", metavar="NAME", help="html, md, csv, latex, png or svg, with commas between."),
]
ReportFolder = Annotated[
    Path | None,
    typer.Option("--out", parser=named_folder, metavar="DIR", help="Where to write; that of the run, if there is one."),
]


def load_plugins(files: list[Path] | None) -> None:
    """Import the built-in modules, the installed plugins and these files, which register their names.

    The import stands inside because it takes seconds.
    """
    with undisturbed():
        from ..recipe.plugins import load_plugins

        load_plugins(files or [])
