"""Craft adversarial images once, keep them on disk, hand them out as an attacker could have stored them."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ....core.attack import Attack, CraftingData, UniversalAttack
from ....core.ensemble import attack_survivors
from ....core.errors import BudgetError
from ....core.files import writing
from ....core.model import Model
from ....core.perturbation import Perturbation
from ....core.query_attack import QueryAttack, Searched
from ....core.seeding import Draws
from ...grid.digest import digest
from ...ledger.ledger import Costs
from ..cache.kept import keep, recall
from ..cache.shelf import Shelf
from ..crafting.shard import Shard
from ..memory.pieces import Pieces
from ..memory.prefetch import Prefetcher
from .crafted import Crafted
from .storage import Storage

_CHECKPOINT_COSTS, _QUERIES, _VANISHING = "costs", "queries", "vanishing"


@dataclass(frozen=True, kw_only=True)
class Crafter:
    """One attack on one model.

    `stream` names its random streams. Image attacks keep their shards on the `shelf` under the name `place`; without a
    shelf none is kept, and each is crafted whenever it is asked for. A universal one keeps how far it has come in the
    file `partial`. With `before`, the attack goes on where that one failed. Where `batch_matters`, nothing is kept that
    was crafted in smaller pieces than it is named for. `vanishing` says of the attacked system what `Crafted` does; it
    takes passes, so it is kept with the images. `undoing` is entered around an attack and raises ConfigError where it
    has changed the model: nothing of such an attack is kept. `prefetcher` reads images before they are asked for.
    """

    model: Model
    attack: Attack | UniversalAttack
    stream: str
    place: str
    partial: Path
    seed: int
    storage: Literal["float32", "uint8"]
    pieces: Pieces
    vanishing: Callable[[], float]
    undoing: Callable[[], AbstractContextManager[None]]
    prefetcher: Prefetcher
    shelf: Shelf | None = None
    batch_matters: bool = False
    before: "Crafter | None" = None

    def craft(self, data: CraftingData) -> tuple[Perturbation, Costs]:
        """A universal perturbation, and what it cost."""
        assert isinstance(self.attack, UniversalAttack)
        rng = Draws.of(self.seed, self.stream, samples=[0], device=self.model.device)
        with self.undoing(), _Meter(self.model) as meter:
            checkpoint = _CheckpointFile(self.partial, self.model.device, meter)
            found = self.attack.craft(self.model, replace(data, checkpoint=checkpoint), rng=rng)
        return found, meter.costs

    def images(self, shard: Shard, perturbation: Perturbation | None) -> Crafted:
        """Adversarial images for a shard, inside the threat and [0, 1]. Raises BudgetError where the attack left it."""
        if perturbation is not None:
            found = self._in_pieces(shard, lambda part, rows: self._stored(perturbation.apply(part.x), part))
            return replace(found, vanishing=self.vanishing())
        if self.shelf is None:
            return self._crafted(shard)
        name = name_of_images(self.place, shard.samples)
        kept = self._read(self.shelf, name, shard)
        if kept is not None:
            return kept
        with self.shelf.exclusive(name):
            kept = self._read(self.shelf, name, shard)
            if kept is not None:  # by now
                return kept
            crafted = self._crafted(shard)
            if not (self.batch_matters and self.pieces.fell):  # which their name does not say
                self.shelf.keep(name, _tensors(crafted), shard.x)
        return crafted

    def _crafted(self, shard: Shard) -> Crafted:
        start = None if self.before is None else self.before.images(shard, None).x_adv  # at the costs of that one

        def crafted(part: Shard, rows: slice) -> Crafted:
            found = self._attack(part, None if start is None else start[rows])
            if isinstance(found, Searched):
                return replace(self._stored(found.x_adv, part), queries=found.queries)
            return self._stored(found, part)

        with self.undoing(), _Meter(self.model) as meter:
            found = self._in_pieces(shard, crafted)
        return replace(found, costs=meter.costs, vanishing=self.vanishing())

    def _in_pieces(self, shard: Shard, craft: Callable[[Shard, slice], Crafted]) -> Crafted:
        return Crafted.together(self.pieces.each(len(shard.x), lambda rows: craft(shard.part(rows), rows)))

    @property
    def _counts(self) -> bool:
        """Whether queries are known of each image: not where the attack goes on from points of another one."""
        return isinstance(self.attack, QueryAttack) and self.before is None

    def _attack(self, shard: Shard, x_adv: Tensor | None) -> Tensor | Searched:
        """Away from the model's own prediction, that is GFR; from `x_adv` on where an attack came before."""
        assert isinstance(self.attack, Attack)
        rng = self._draws(shard)
        own = self._own(shard, rng)
        if isinstance(self.attack, QueryAttack) and x_adv is None:
            return self.attack.counted(self.model, shard.x, own, rng=rng)
        if x_adv is None:
            return self.attack(self.model, shard.x, own, rng=rng)
        return attack_survivors(self.attack, self.model, shard.x, own, x_adv, rng=rng)

    def _draws(self, shard: Shard) -> Draws:
        return Draws.of(self.seed, self.stream, samples=shard.samples, device=shard.x.device)

    def _own(self, shard: Shard, rng: Draws) -> Tensor:
        """The model's own predictions, as an attack takes them; void where targets are: there nothing counts."""
        return self.model.task.reference(self.model.judge(shard.x, rng=rng.fork("reference")), shard.y)

    def _stored(self, x_adv: Tensor, shard: Shard) -> Crafted:
        """The images as they are, or as an attacker could have saved them in a file of 8 bits."""
        threat = self.attack.threat
        x_adv = threat.enforce(x_adv, shard.x)
        if self.storage == "float32":
            return Crafted(stored=x_adv, undone=torch.zeros(len(x_adv), dtype=torch.bool), costs=Costs())
        rng = self._draws(shard)
        own = self._own(shard, rng)

        def fools(images: Tensor, rows: Tensor) -> Tensor:
            found = self.model.judge(images, rng=rng.fork("storage")[rows])
            return self.model.task.reached(found, own[rows], targeted=False)

        stored, undone = Storage(threat=threat, x=shard.x, fools=fools).search(x_adv)
        crafted = Crafted(stored=stored, undone=undone, costs=Costs())
        threat.check(crafted.x_adv, shard.x)  # an x between the levels may leave no level within a tiny budget
        return crafted

    def _read(self, shelf: Shelf, name: str, shard: Shard) -> Crafted | None:
        """Kept images for a shard; none where the file is damaged, of other images, or beyond the budget."""
        names = {"x_adv", "undone", "costs", _VANISHING} | ({_QUERIES} if self._counts else set())
        tensors = shelf.opened(self.prefetcher.result(shelf.read, name), names, shard.x)
        if tensors is None or tensors["x_adv"].dtype != getattr(torch, self.storage):
            return None
        crafted = Crafted(
            stored=tensors["x_adv"].to(shard.x.device),
            undone=tensors["undone"],
            costs=Costs(*tensors["costs"].tolist()),
            queries=tensors.get(_QUERIES),
            vanishing=float(tensors[_VANISHING]),
        )
        try:
            self.attack.threat.check(crafted.x_adv, shard.x)
        except BudgetError:
            return None
        return crafted


def name_of_images(place: str, samples: Sequence[int]) -> str:
    """What a shard of a job is called on a shelf."""
    return f"{place}/{digest(list(samples))}"


def _tensors(crafted: Crafted) -> dict[str, Tensor]:
    """What is kept of a shard."""
    found = {
        "x_adv": crafted.stored,
        "undone": crafted.undone,
        "costs": tensor_of(crafted.costs),
        _VANISHING: torch.tensor(crafted.vanishing, dtype=torch.float64),
    }
    return found if crafted.queries is None else found | {_QUERIES: crafted.queries}


def tensor_of(costs: Costs) -> Tensor:
    return torch.tensor(costs, dtype=torch.float64)


class _Meter:
    """Passes and wall-clock seconds between entering and leaving, and what an earlier run had spent by then."""

    def __init__(self, model: Model) -> None:
        self._passes = model.passes
        self._before = Costs()

    def __enter__(self) -> "_Meter":
        self._start = self._now()
        return self

    def __exit__(self, *exception: object) -> None:
        self.costs = self.so_far()

    def so_far(self) -> Costs:
        return self._now().since(self._start).plus(self._before)

    def go_on_from(self, costs: Costs) -> None:
        """What was spent until now, an earlier run had spent too, and counted."""
        self._start, self._before = self._now(), costs

    def _now(self) -> Costs:
        return Costs(self._passes.forwards, self._passes.backwards, time.perf_counter())


class _CheckpointFile:
    """A search's state with its costs. One that is damaged is none: the search begins anew."""

    def __init__(self, path: Path, device: torch.device, meter: _Meter) -> None:
        self._path, self._device, self._meter = path, device, meter

    def load(self) -> dict[str, Tensor]:
        state = recall(self._path, {_CHECKPOINT_COSTS})
        if state is None:
            return {}
        self._meter.go_on_from(Costs(*state.pop(_CHECKPOINT_COSTS).tolist()))
        return {name: tensor.to(self._device) for name, tensor in state.items()}

    def save(self, state: dict[str, Tensor]) -> None:
        with writing(self._path):
            keep(self._path, state | {_CHECKPOINT_COSTS: tensor_of(self._meter.so_far())})
