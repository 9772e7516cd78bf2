"""Speed tests of the attacks and defenses of a recipe, measured by pytest-benchmark."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from ...core.attack import Attack
from ...core.errors import ConfigError, FoolbenchError
from ...core.seeding import Draws
from ..engine.crafting.shard import Shard
from ..engine.crafting.targets import drawn_targets
from ..engine.networks.networks import Network, Networks
from ..engine.networks.undoing import undoing
from ..grid.defenses import NamedDefense, systems
from ..grid.described import Row, beside_threat, compact
from ..grid.labels import labels
from ..grid.parameters import parameters
from ..grid.planned import name_of, short_names
from ..recipe.recipe import Recipe
from ..report.speed import Kind
from .benches import Bench

Measured = Callable[[Network, Shard], Callable[[], torch.Tensor]]
"""A function of a network and a batch that returns the function to time, which waits for its result on a GPU, too."""


def speed_tests(parent: pytest.File, bench: Bench) -> Iterator[pytest.Function]:
    """Yield a speed test for each attack and defense on each model, with `--benchmark-json` or `--benchmark-only`.

    An attack is timed on the bare network, a defense with the network behind it. Universal attacks are left out: they
    craft once for all images, and the column `seconds` has their time.
    """
    config = parent.config
    asked = config.getoption("benchmark_json", None) or config.getoption("benchmark_only", False)
    if not asked or not config.pluginmanager.hasplugin("benchmark"):
        return
    for model, short in short_names(bench.recipe).items():
        kinds: dict[Kind, list[tuple[Row, Measured]]]
        kinds = {"attack": _attacks(bench.recipe), "defense": _defenses(bench.recipe)}
        for kind, measured in kinds.items():
            names = labels([facts for facts, _ in measured], kind)
            for label, (facts, function) in zip(names, measured, strict=True):
                told = {"model": model, "kind": kind, "name": facts[kind], "params": facts[f"{kind}_params"]}
                told |= {"norm": facts.get("norm", ""), "eps": facts.get("eps")}
                name = name_of(short, label, "speed")
                yield pytest.Function.from_parent(parent, name=name, callobj=_test(bench, told, function))


def _attacks(recipe: Recipe) -> list[tuple[Row, Measured]]:
    found: list[tuple[Row, Measured]] = []
    for entry, attack in zip(recipe.attacks, recipe.build_attacks(), strict=True):
        if isinstance(attack, Attack):
            params = compact(beside_threat(parameters(attack)))
            facts = {"attack": entry.name, "attack_params": params, "norm": attack.norm, "eps": round(attack.eps, 6)}
            found.append((facts, _attacking(attack)))
    return found


def _attacking(attack: Attack) -> Measured:
    def measured(network: Network, shard: Shard) -> Callable[[], torch.Tensor]:
        y = drawn_targets(network.model, shard.x, shard.samples, seed=0) if attack.targeted else None
        return lambda: attack(network.model, shard.x, y, rng=0).sum().cpu()

    return measured


def _defenses(recipe: Recipe) -> list[tuple[Row, Measured]]:
    return [
        ({"defense": named.name, "defense_params": compact(named.parameters)}, _defending(named))
        for named in systems(recipe)
    ]


def _defending(named: NamedDefense) -> Measured:
    def measured(network: Network, shard: Shard) -> Callable[[], torch.Tensor]:
        model = network.systems.scored(named).model
        rng = Draws.of(0, "speed", samples=shard.samples, device=shard.x.device)
        return lambda: model.predict(shard.x, rng=rng).sum().cpu()

    return measured


def _test(bench: Bench, facts: dict[str, Any], measured: Measured) -> Callable[[Any], None]:
    def measure(benchmark: Any) -> None:
        try:
            _measure(benchmark, bench.networks, facts, measured)
        except FoolbenchError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None

    return measure


def _measure(benchmark: Any, networks: Networks, facts: dict[str, Any], measured: Measured) -> None:
    """Time a function on the network that the cells use, too. Raises ConfigError if it changes the network."""
    network = networks.use(facts["model"])
    shard = network.shard(next(networks.batches()))
    batch = {"images": len(shard.samples), "device": str(network.model.device)}
    benchmark.group = f"{facts['model']}: {facts['kind']}s, {batch['images']} images"
    benchmark.extra_info["foolbench"] = facts | batch
    with undoing(network.systems.undo, lambda: ConfigError(f"{facts['name']} has changed {facts['model']}.")):
        benchmark(measured(network, shard))
