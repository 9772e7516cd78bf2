"""`foolbench cache`: the commands that list, measure and clear the cache that runs on this machine share."""

from typing import Annotated

import typer

from ..engine.cache.kinds import Kind
from .arguments import CacheFolder

app = typer.Typer(no_args_is_help=True, help="What runs share: list it, say how large it is, remove it.")

WhichKind = Annotated[Kind | None, typer.Argument(help="Of these only.")]


@app.command("list")
def list_entries(kind: WhichKind = None, cache: CacheFolder = None) -> None:
    """List what the cache holds, most recently used last."""
    from .cache import show_entries

    show_entries(cache, kind and kind.value)


@app.command()
def size(cache: CacheFolder = None) -> None:
    """Say how much room the cache takes, and where it is."""
    from .cache import show_sizes

    show_sizes(cache)


@app.command()
def clear(kind: WhichKind = None, cache: CacheFolder = None) -> None:
    """Empty the cache. Runs make anew what they need."""
    from .cache import clear

    clear(cache, kind and kind.value)
