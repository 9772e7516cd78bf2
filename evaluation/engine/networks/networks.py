"""The networks of a run, with the systems built on them; only those in use are on the device."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from ....core.dataset import Dataset, truths_of
from ....core.errors import ConfigError, InputError
from ....core.guard import Guard
from ....core.model import Model
from ....core.task import Task
from ...conformance.targets import check_targets
from ..crafting.shard import Shard
from ..memory.one_at_a_time import itself, one_at_a_time
from ..memory.pieces import is_out_of_memory
from ..memory.prefetch import Prefetcher
from ..memory.remembered import Room
from ..work.progress import Steps
from .behaving import behaviour
from .school import School
from .setup import Setup
from .systems import Systems

MOST = 2
"""The most networks on the device at a time: the attacked one and the scored one."""


@dataclass(kw_only=True)
class Network:
    """A loaded network, the evaluation images in the form that it takes, and the systems built on it."""

    model: Model
    dataset: Dataset
    systems: Systems

    @cached_property
    def answers(self) -> str:
        """SHA-256 of its exact outputs, and gradients for the probes. Raises ConfigError for a random network."""
        return hashlib.sha256(behaviour(self.model, self.dataset).to_bytes()).hexdigest()

    def shard(self, samples: Sequence[int]) -> Shard:
        """Load samples to the network's device. Raises ConfigError for targets that do not fit its task."""
        device = self.model.device
        x, y = self.dataset.load(tuple(samples))
        truths = truths_of(self.dataset, samples)
        _check(self.model.task, self.dataset, samples, y, truths)
        return Shard(
            samples=samples,
            x=x.to(device),
            y=None if y is None else y.to(device),
            truths=None if truths is None else [truth.to(device) for truth in truths],
        )


def _check(
    task: Task, dataset: Dataset, samples: Sequence[int], y: Tensor | None, truths: Sequence[Tensor] | None
) -> None:
    try:
        if y is not None:
            check_targets(task, y, samples)
        if truths is None:
            return
        if len(truths) != len(samples):
            raise InputError(f"expected the truths of {len(samples)} samples, got {len(truths)}")
        for sample, truth in zip(samples, truths, strict=True):
            check_targets(task, truth[None], [sample])
    except InputError as error:
        raise ConfigError(f"{dataset.name}, {error}") from None


class Networks:
    """The networks of a run by name, loaded on first use; at most `MOST` of them are on the device.

    `load` returns a network and its images by name; `school` makes the school that teaches a network's defenses.
    """

    def __init__(
        self,
        setup: Setup,
        load: Callable[[str], tuple[Model, Dataset]],
        steps: Steps,
        school: Callable[..., School] = School,
    ) -> None:
        self._setup, self._load, self._steps, self._school = setup, load, steps, school
        self._known: dict[str, Network] = {}
        self._there: dict[str, Guard] = {}
        self._room, self._coming = Room(), Prefetcher()

    def use(self, name: str, beside: str | None = None) -> Network:
        """Return a network on the device, loaded and moved there if need be.

        If the device is full, the least recently used network moves to the CPU, but never `beside`. Raises the error
        by which the network could not be loaded or moved.
        """
        network = self._known.setdefault(name, self._known.get(name) or self._made(name))
        if name in self._there:
            self._there[name] = self._there.pop(name)  # to the end, as the most recently used
            return network
        while len(self._there) >= MOST:
            self._remove(next(known for known in self._there if known != beside))
        self._there[name] = self._moved(network.model, beside)
        return network

    def foresee(self, name: str, samples: Sequence[int]) -> None:
        """Start to read the images that will be requested next of a network, if it is loaded."""
        if name in self._known:
            self._coming.begin(itself(self._known[name].dataset).load, tuple(samples))

    def leave(self) -> None:
        """Stop reading ahead, and move all networks to the CPU."""
        self._coming.close()
        for name in list(self._there):
            self._remove(name)

    def batches(self) -> Iterator[tuple[int, ...]]:
        """Yield the evaluation samples of the run, one tuple per shard of the recipe."""
        return batches(self._setup.samples, self._setup.recipe.shard)

    def _moved(self, model: Model, beside: str | None) -> Guard:
        """Move a model to the device and return its guard; if memory runs out, other networks move to the CPU."""
        while True:
            try:
                model.to(self._setup.device)
                return Guard(model)
            except RuntimeError as error:
                model.to("cpu")
                other = next((known for known in self._there if known != beside), None)
                if other is None or not is_out_of_memory(error):
                    raise
            self._remove(other)

    def _remove(self, name: str) -> None:
        self._known[name].model.to("cpu")
        del self._there[name]  # the guard holds a copy of the weights

    def _made(self, name: str) -> Network:
        model, images = self._load(name)
        dataset = one_at_a_time(images, self._coming)
        setup, undo = self._setup, lambda: self._there[name].undo()
        shelf, own = (setup.own, None) if setup.cache is None else (setup.cache, setup.own)
        systems = Systems(
            recipe=setup.recipe,
            dataset=dataset,
            model=model,
            school=self._school(dataset, model, setup.recipe.seed, self._steps, shelf, own),
            undo=undo,
            first=lambda: self._known[name].shard(next(self.batches())),
            room=self._room,
        )
        return Network(model=model, dataset=dataset, systems=systems)


def batches(samples: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    """Yield the samples in tuples of `size`; the last one may be shorter."""
    for start in range(0, len(samples), size):
        yield tuple(samples[start : start + size])
