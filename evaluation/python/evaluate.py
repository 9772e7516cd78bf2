"""`foolbench.evaluate`: the leaderboard of what exists in memory, by the code that runs recipes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pandas as pd
from rich.console import Console

from ...core.dataset import Dataset
from ...core.errors import ConfigError
from ...core.norms import Norm
from ...core.registry import datasets, models
from ...datasets import load_dataset
from ..board.files import publish
from ..engine.cache.cache import Cache
from ..engine.executors.machines import Kind, Machines
from ..opening.recipes import read_document
from ..recipe.entries import Knowledge
from ..recipe.plugins import load_plugins
from ..recipe.recipe import Recipe, Sampling
from ..report.execution import execute
from ..report.results import choose_device
from .networks import GivenNetworks, Network, is_table
from .tables import Given, tables


def evaluate(
    model: Network | Sequence[Network] | Mapping[str, Network],
    data: Any,
    *,
    attacks: Given | Sequence[Given],
    defenses: Given | Sequence[Given] = (),
    source_models: Network | Sequence[Network] | Mapping[str, Network] = (),
    eps: float | str | None = None,
    norm: Norm = "linf",
    samples: int | None = None,
    sampling: Sampling = "balanced",
    knowledge: Knowledge | Sequence[Knowledge] = "oblivious",
    draws: int = 10,
    eot_draws: int = 10,
    storage: Literal["float32", "uint8"] = "float32",
    layers: Sequence[str] = (),
    batch_size: int | Literal["auto"] = 64,
    seed: int = 0,
    classes: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    size: Sequence[int] | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    executor: Kind = "local",
    workers: int | None = None,
    address: str | None = None,
    cache: str | Path | Literal[False] | None = None,
    silent: bool = False,
) -> pd.DataFrame:
    """The table that `foolbench run` makes: a row for each model, attack, defense and what the attack knew.

    `model` is a Model, an address, an `nn.Module`, a recipe's table, a list of these or a mapping with names for them.
    Of an `nn.Module` must be known its `mean` and `std`; `classes` are checked, and `size` (height, width) is that of
    the images where it is not given. These are of every `nn.Module`; an address has its own in a table. Attacks are
    crafted on each of `source_models`, which are given as `model` is, and scored on every model; without any each model
    is its own source. `data` is an address, a torch Dataset of (image, target), a pair of tensors, or a Dataset, as for
    `load_dataset`. `attacks` and `defenses` are names, recipe's tables or instances. `eps` and `norm` hold for the
    attacks that do not state their own. All `samples` count where there is no number.

    With a folder `out` everything is kept there, as by `foolbench run`, and what is in it is not run again; `foolbench
    report` makes its tables anew. The other parameters are keys of a recipe. Failed cells are rows with `status`
    "error". Raises FoolbenchError, in one sentence, for what makes no sense.

    What was crafted or learned in other runs is found in the user's cache, or in another one, the folder `cache`; with
    False nothing is.

    With several `workers`, or the `executor` "ray" and the `address` of a cluster, other processes share the work, as
    by `foolbench run`; networks and data are then given by their addresses. They begin by importing the script that
    calls this, which therefore does so below `if __name__ == "__main__":`.
    """
    machines = Machines(executor=executor, workers=workers, address=address, gpus=device != "cpu")
    load_plugins([])
    device = choose_device(device)
    images, entry, held = _data(data)
    found = GivenNetworks({"classes": classes, "mean": mean, "std": std, "size": size}, images.shape[1:])
    entries, sources = found.entries(model), found.entries(source_models)
    found.check_options()
    if not machines.are_here and (found.held or held):
        raise ConfigError(
            "Expected networks and data by their addresses, which other processes can load them by, got objects in "
            "memory; leave workers and executor out, or name them."
        )
    with _in_memory(found, held):
        listed = tables("attacks", attacks)
        document = {
            "name": "evaluate",
            "dataset": entry,
            "samples": len(images) if samples is None else samples,
            "sampling": sampling,
            "seed": seed,
            "knowledge": [knowledge] if isinstance(knowledge, str) else knowledge,
            "draws": draws,
            "eot_draws": eot_draws,
            "storage": storage,
            "layers": [layers] if isinstance(layers, str) else list(layers),
            "batch_size": batch_size,
            "models": entries,
            "source_models": sources,
            "threat": _threat(listed, norm, eps),
            "attacks": listed,
            "defenses": tables("defenses", defenses),
        }
        return _run(read_document(document, "of evaluate(...)"), out, device, silent, machines, _cache(cache))


def _run(
    recipe: Recipe, out: str | Path | None, device: str, silent: bool, machines: Machines, cache: Cache | None
) -> pd.DataFrame:
    console = Console(stderr=True, quiet=silent, emoji=False)
    if out is not None and not (isinstance(out, str | Path) and str(out).strip()):
        raise ConfigError(f"Expected out= to name a folder, got {out!r}.")
    if out is None:
        with TemporaryDirectory(prefix="foolbench-") as folder:
            table, _, interrupted = execute(recipe, Path(folder), device, console, machines, cache=cache)
    else:
        table, _, interrupted = execute(recipe, Path(out), device, console, machines, cache=cache)
        publish(Path(out), table)
    if interrupted:
        raise KeyboardInterrupt
    failed = int((table.status != "ok").sum())
    if failed:
        console.print(f"{failed} of {len(table)} cells failed; the column error says why.", style="red")
    return table


def _cache(given: str | Path | Literal[False] | None) -> Cache | None:
    if given is False:
        return None
    if given is not None and not (isinstance(given, str | Path) and str(given).strip()):
        raise ConfigError(f"Expected cache= to name a folder, or False for none, got {given!r}.")
    return Cache.default(None if given is None else Path(given))


def _data(given: Any) -> tuple[Dataset, str | dict[str, Any], dict[str, Callable[[], Dataset]]]:
    """The data, what the recipe calls them, and by that name what gives them, if they exist in memory alone."""
    if is_table(given):
        name, options = given["name"], {key: value for key, value in given.items() if key != "name"}
        return load_dataset(name, **options), dict(given), {}
    images = load_dataset(given)
    return (images, given, {}) if isinstance(given, str) else (images, images.name, {images.name: lambda: images})


def _threat(listed: Sequence[Mapping[str, Any]], norm: Norm, eps: float | str | None) -> dict[str, Any]:
    """Of attacks that do not state their own. Raises ConfigError where one of them lacks an eps."""
    without = [table for table in listed if "eps" not in table]
    if eps is None and without:
        raise ConfigError(f'Expected eps= for {without[0].get("name")}, a number or a fraction such as "8/255".')
    if eps is None and listed:
        return {"norm": norm, "eps": listed[0]["eps"]}  # which nobody asks for: each has its own
    return {"norm": norm, "eps": eps}


@contextmanager
def _in_memory(found: GivenNetworks, held: Mapping[str, Callable[[], Dataset]]) -> Iterator[None]:
    """While their names stand for them; networks go back to where they were.

    What has an address is opened by it: it may be named again with other options, as data to train on.
    """
    devices = {name: model.device for name, model in found.held.items()}
    try:
        with models.holding(found.makers), datasets.holding(held):
            yield
    finally:
        for name, model in found.held.items():
            model.to(devices[name])
