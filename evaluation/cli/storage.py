"""`foolbench cache`: the commands that list, measure and clear the cache that runs on this machine share."""

from typing import Annotated

import typer

from ..engine.cache.kinds import Kind
from .arguments import CacheFolder

app = typer.Typer(no_args_is_help=True, help="What runs share: list it, say how large it is, remove it.")

WhichKind = Annotated[Kind | None, typer.Argument(help="Of these only.")]


@app.command("list")
def list_entries(kind: WhichKind = None, cache: CacheFolder = None) -> None:
    """List the entries of the cache, most recently used last."""
    from .cache import show_entries

    show_entries(cache, kind and kind.value)


@app.command()
def size(cache: CacheFolder = None) -> None:
    """Print the size of the cache, by kind of entry, and its folder."""
    from .cache import show_sizes

    show_sizes(cache)


@app.command()
def clear(kind: WhichKind = None, cache: CacheFolder = None) -> None:
    """Empty the cache. Later runs compute again what they need."""
    from .cache import clear

    clear(cache, kind and kind.value)
