"""Arguments that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="A Python file that registers attacks, defenses, …")
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, overrides the recipe; TOML values.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …")]
Source = Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a shipped recipe, or a TOML file.")]


def folder_name(text: str) -> Path:
    """An empty name is a variable that a script has forgotten to set, and not the current folder."""
    if not text.strip():
        raise typer.BadParameter("expected the name of a folder, got none; the current one is called .")
    return Path(text)


def load_plugins(files: list[Path] | None) -> None:
    """Everything that has a name, and that of these files. It takes seconds."""
    from ..recipe.plugins import load_plugins

    load_plugins(files or [])
