"""`foolbench.evaluate`: the leaderboard of objects in memory, made by the code that runs recipes."""

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
    """Return the leaderboard that `foolbench run` makes: a row per model, attack, defense and attacker's knowledge.

    `model` is a Model, an address, an `nn.Module`, a recipe's table (a dict with "name" and options), a list of these
    or a dict that names them. Every `nn.Module` shares `mean`, `std`, `classes` and `size`: `mean` and `std` are
    required, `classes` is checked, and `size` (height, width) defaults to that of the images. An address takes its own
    options in a table. Attacks are crafted on each of `source_models`, given like `model`, and scored on every model;
    without any, each model is its own source. `data` is an address, a torch Dataset of (image, target), a pair of
    tensors, or a Dataset, as for `load_dataset`. `attacks` and `defenses` are names, recipe's tables or instances.
    `norm` and `eps` (for pixels in [0, 1]) apply to attacks that do not state their own. `samples` is the number of
    evaluation images, by default all. The other parameters are keys of a recipe.

    The folder `out` keeps all results, as `foolbench run` does: a later call with it runs only what is missing, and
    `foolbench report` makes its tables anew. `cache` is the folder of crafted perturbations and fitted defenses that
    runs share, by default the user's cache; False uses none.

    With several `workers`, or the `executor` "ray" and the `address` of a cluster, other processes share the work, as
    in `foolbench run`. Networks and data must then be given by their addresses, and the call must stand below
    `if __name__ == "__main__":`, because each process begins by importing the calling script.

    Failed cells are rows with `status` "error". Raises FoolbenchError, in one sentence, for invalid arguments, and
    KeyboardInterrupt when the run was interrupted.
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
    """Return the dataset, its entry in the recipe, and, for data in memory, a mapping from its name to its maker."""
    if is_table(given):
        name, options = given["name"], {key: value for key, value in given.items() if key != "name"}
        return load_dataset(name, **options), dict(given), {}
    images = load_dataset(given)
    return (images, given, {}) if isinstance(given, str) else (images, images.name, {images.name: lambda: images})


def _threat(listed: Sequence[Mapping[str, Any]], norm: Norm, eps: float | str | None) -> dict[str, Any]:
    """Return the recipe's default norm and budget. Raises ConfigError where an attack is left without an eps."""
    without = [table for table in listed if "eps" not in table]
    if eps is None and without:
        raise ConfigError(f'Expected eps= for {without[0].get("name")}, a number or a fraction such as "8/255".')
    if eps is None and listed:
        return {"norm": norm, "eps": listed[0]["eps"]}  # a recipe requires one, though every attack has its own
    return {"norm": norm, "eps": eps}


@contextmanager
def _in_memory(found: GivenNetworks, held: Mapping[str, Callable[[], Dataset]]) -> Iterator[None]:
    """Register networks and data that exist in memory under their names, and move the networks back at the end.

    Data with an address are not held: the recipe may list them again with other options, as training data.
    """
    devices = {name: model.device for name, model in found.held.items()}
    try:
        with models.holding(found.makers), datasets.holding(held):
            yield
    finally:
        for name, model in found.held.items():
            model.to(devices[name])
