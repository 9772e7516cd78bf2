"""Craft adversarial images once, keep them on disk, and return them as an attacker could have stored them."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ....core.attack import Attack
from ....core.ensemble import attack_survivors
from ....core.errors import BudgetError
from ....core.files import writing
from ....core.model import Model
from ....core.perturbation import Perturbation
from ....core.query_attack import QueryAttack, Searched
from ....core.seeding import Draws
from ....core.universal_attack import CraftingData, UniversalAttack
from ...grid.digest import digest
from ...ledger.ledger import Costs
from ..cache.kept import keep, recall
from ..cache.shelf import Shelf
from ..crafting.shard import Shard
from ..memory.pieces import Pieces
from ..memory.prefetch import Prefetcher
from .crafted import Crafted
from .storage import Storage
from .targets import drawn_targets

_CHECKPOINT_COSTS, _QUERIES, _GOALS, _VANISHING = "costs", "queries", "goals", "vanishing"


@dataclass(frozen=True, kw_only=True)
class Crafter:
    """Runs one attack on one model and keeps its results.

    `stream` names the random streams. The shards of an image attack are kept on the `shelf` below the name `place`;
    without a shelf each is crafted whenever it is requested. A universal attack keeps its checkpoint in the file
    `partial`. With `before`, the attack continues from that crafter's images where they do not fool yet. If
    `batch_matters`, shards that were crafted in smaller batches because memory ran out are not kept, since their name
    stands for the full batch. `vanishing` measures the field of `Crafted` of that name; this costs passes, so it is
    kept with the images. `undoing` is entered around an attack, and raises ConfigError if the attack changed the model:
    nothing of such an attack is kept. `prefetcher` reads kept images before they are requested.
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
        """Return a universal perturbation and its costs, continuing from a checkpoint in `partial` if there is one."""
        assert isinstance(self.attack, UniversalAttack)
        rng = Draws.of(self.seed, self.stream, samples=[0], device=self.model.device)
        with self.undoing(), _Meter(self.model) as meter:
            checkpoint = _CheckpointFile(self.partial, self.model.device, meter)
            found = self.attack.craft(self.model, replace(data, checkpoint=checkpoint), rng=rng)
        return found, meter.costs

    def images(self, shard: Shard, perturbation: Perturbation | None) -> Crafted:
        """Return adversarial images for a shard, within the threat and [0, 1]: those on the shelf, or new ones.

        With a universal `perturbation` it is applied to the shard instead. Raises BudgetError if an attack exceeds its
        threat.
        """
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
            if kept is not None:  # another process has crafted it meanwhile
                return kept
            crafted = self._crafted(shard)
            if not (self.batch_matters and self.pieces.fell):  # the name stands for the full batch
                self.shelf.keep(name, _tensors(crafted), shard.x)
        return crafted

    def _crafted(self, shard: Shard) -> Crafted:
        start = None if self.before is None else self.before.images(shard, None).x_adv  # with costs of its own

        def crafted(part: Shard, rows: slice) -> Crafted:
            rng = self._draws(part)
            y = self._references(part, rng)
            found = self._attack(part, y, None if start is None else start[rows], rng)
            x_adv, queries = found if isinstance(found, Searched) else (found, None)
            goals = self._image_attack.goals(self.model.task, y)
            return replace(self._stored(x_adv, part), queries=queries, goals=goals)

        with self.undoing(), _Meter(self.model) as meter:
            found = self._in_pieces(shard, crafted)
        return replace(found, costs=meter.costs, vanishing=self.vanishing())

    def _in_pieces(self, shard: Shard, craft: Callable[[Shard, slice], Crafted]) -> Crafted:
        return Crafted.together(self.pieces.each(len(shard.x), lambda rows: craft(shard.part(rows), rows)))

    @property
    def _counts(self) -> bool:
        """Whether the queries of each image are known: not if the attack continues from another attack's images."""
        return isinstance(self.attack, QueryAttack) and self.before is None

    @property
    def _further(self) -> set[str]:
        """The names of the tensors that are kept of this attack beside those of every attack."""
        aims = isinstance(self.attack, Attack) and self.attack.aims
        return ({_QUERIES} if self._counts else set()) | ({_GOALS} if aims else set())

    def _attack(self, shard: Shard, y: Tensor, x_adv: Tensor | None, rng: Draws) -> Tensor | Searched:
        """Attack a shard; continue from `x_adv` if another attack came before."""
        attack = self._image_attack
        if isinstance(attack, QueryAttack) and x_adv is None:
            return attack.counted(self.model, shard.x, y, rng=rng)
        if x_adv is None:
            return attack(self.model, shard.x, y, rng=rng)
        return attack_survivors(attack, self.model, shard.x, y, x_adv, rng=rng)

    @property
    def _image_attack(self) -> Attack:
        assert isinstance(self.attack, Attack)
        return self.attack

    def _draws(self, shard: Shard) -> Draws:
        return Draws.of(self.seed, self.stream, samples=shard.samples, device=shard.x.device)

    @property
    def _targeted(self) -> bool:
        return isinstance(self.attack, Attack) and self.attack.targeted

    def _references(self, shard: Shard, rng: Draws) -> Tensor:
        """Return what the attack is to leave: the model's own predictions, as GFR measures; if targeted, to reach.

        Pixels that are void in the shard's targets stay so.
        """
        if self._targeted:
            return drawn_targets(self.model, shard.x, shard.samples, seed=self.seed)
        return self.model.task.reference(self.model.judge(shard.x, rng=rng.fork("reference")), shard.y)

    def _stored(self, x_adv: Tensor, shard: Shard) -> Crafted:
        """Return the images as float32, or rounded to uint8 as an attacker could have saved them in an 8-bit file."""
        threat = self.attack.threat
        x_adv = threat.enforce(x_adv, shard.x)
        if self.storage == "float32":
            return Crafted(stored=x_adv, undone=torch.zeros(len(x_adv), dtype=torch.bool), costs=Costs())
        rng = self._draws(shard)
        y = self._references(shard, rng)

        def fools(images: Tensor, rows: Tensor) -> Tensor:
            found = self.model.judge(images, rng=rng.fork("storage")[rows])
            return self.model.task.reached(found, y[rows], targeted=self._targeted)

        stored, undone = Storage(threat=threat, x=shard.x, fools=fools).search(x_adv)
        crafted = Crafted(stored=stored, undone=undone, costs=Costs())
        threat.check(crafted.x_adv, shard.x)  # around an x between two levels, a tiny budget may hold no level
        return crafted

    def _read(self, shelf: Shelf, name: str, shard: Shard) -> Crafted | None:
        """Return kept images; None if the file is missing, damaged, of other clean images, or exceeds the budget."""
        names = {"x_adv", "undone", "costs", _VANISHING} | self._further
        tensors = shelf.opened(self.prefetcher.result(shelf.read, name), names, shard.x)
        if tensors is None or tensors["x_adv"].dtype != getattr(torch, self.storage):
            return None
        crafted = Crafted(
            stored=tensors["x_adv"].to(shard.x.device),
            undone=tensors["undone"],
            costs=Costs(*tensors["costs"].tolist()),
            queries=tensors.get(_QUERIES),
            goals=_unpacked(tensors[_GOALS]).to(shard.x.device) if _GOALS in tensors else None,
            vanishing=float(tensors[_VANISHING]),
        )
        try:
            self.attack.threat.check(crafted.x_adv, shard.x)
        except BudgetError:
            return None
        return crafted


def name_of_images(place: str, samples: Sequence[int]) -> str:
    """Return the name under which a shelf keeps the images for these samples; `place` names the job."""
    return f"{place}/{digest(list(samples))}"


def _tensors(crafted: Crafted) -> dict[str, Tensor]:
    """Return the tensors that a shelf keeps for a shard."""
    found = {
        "x_adv": crafted.stored,
        "undone": crafted.undone,
        "costs": tensor_of(crafted.costs),
        _VANISHING: torch.tensor(crafted.vanishing, dtype=torch.float64),
    }
    further = {_QUERIES: crafted.queries, _GOALS: None if crafted.goals is None else _packed(crafted.goals)}
    return found | {name: tensor for name, tensor in further.items() if tensor is not None}


def _packed(goals: Tensor) -> Tensor:
    """Return maps of classes, which are all below 256, in an eighth of their size."""
    return goals.to(torch.uint8) if goals.ndim == 3 and goals.dtype == torch.int64 else goals


def _unpacked(goals: Tensor) -> Tensor:
    return goals.long() if goals.dtype == torch.uint8 else goals


def tensor_of(costs: Costs) -> Tensor:
    return torch.tensor(costs, dtype=torch.float64)


class _Meter:
    """Measures passes and wall-clock seconds between entering and leaving, and adds those of an interrupted run."""

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
        """Count from now on, on top of the `costs` of an interrupted run, which include all that came before."""
        self._start, self._before = self._now(), costs

    def _now(self) -> Costs:
        return Costs(self._passes.forwards, self._passes.backwards, time.perf_counter())


class _CheckpointFile:
    """The checkpoint file of a universal attack, with its costs. If it is damaged, the search starts over."""

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
