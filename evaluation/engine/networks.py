"""The networks of a run: on the device are those in use, with the systems that are made of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ...core.dataset import Dataset
from ...core.guard import Guard
from ...core.model import Model
from ..ledger.ledger import Ledger
from .ahead import ahead
from .clean import clean_doubts
from .grid import NamedDefense
from .learning import School
from .prepare import Prepared
from .progress import Progress
from .remembered import Room
from .scoring import Shard
from .systems import Systems


@dataclass(kw_only=True)
class Network:
    """One that is loaded, and the images as it takes them.

    `doubts` are flags for what the bare network's answers to the clean images say against it; an error where they are
    not its own.
    """

    model: Model
    dataset: Dataset
    systems: Systems
    doubts: set[str] | Exception | None = None

    def shards(self, batches: Iterable[Sequence[int]]) -> Iterator[Shard]:
        """Where the network is; the next is loaded meanwhile."""
        device = self.model.device
        for samples, (x, y) in ahead(self.dataset.load, batches):
            yield Shard(samples=samples, x=x.to(device), y=None if y is None else y.to(device))


class Networks:
    """Those of a recipe by name. The device has room for two of them: one that is attacked, one that is scored."""

    def __init__(self, prepared: Prepared, ledger: Ledger, device: str, progress: Progress) -> None:
        self._prepared, self._ledger, self._device, self._progress = prepared, ledger, device, progress
        self._known: dict[str, Network] = {}
        self._there: dict[str, Guard] = {}
        self._room = Room()

    def use(self, name: str, beside: str | None = None) -> Network:
        """On the device; all others but `beside` make room for it.

        Raises what kept it from being loaded or moved, and what is against attacking or scoring it.
        """
        self.make_room({name, beside})
        network = self._known.setdefault(name, self._known.get(name) or self._made(name))
        if name not in self._there:
            try:
                network.model.to(self._device)
            except RuntimeError:  # out of memory, say
                network.model.to("cpu")
                raise
            self._there[name] = Guard(network.model)
        if network.doubts is None:
            network.doubts = self._doubts(name, network)
        if isinstance(network.doubts, Exception):
            raise network.doubts
        return network

    def make_room(self, keep: set[str | None]) -> None:
        """Leave the device to these."""
        for name in self._there.keys() - keep:
            self._known[name].model.to("cpu")
            del self._there[name]  # it holds a copy of the weights

    def batches(self) -> Iterator[tuple[int, ...]]:
        """The samples of the run, as many at a time as the recipe says."""
        samples, size = self._prepared.facts.samples, self._prepared.recipe.batch_size
        for start in range(0, len(samples), size):
            yield samples[start : start + size]

    def _made(self, name: str) -> Network:
        model, dataset, recipe = self._prepared.models[name], self._prepared.datasets[name], self._prepared.recipe
        if isinstance(model, BaseException):
            raise model
        systems = Systems(
            recipe=recipe,
            dataset=dataset,
            model=model,
            identity=self._prepared.facts.identities[name],
            ledger=self._ledger,
            school=School(dataset, model, recipe.seed, self._progress),
            undo=lambda: self._there[name].undo(),
            room=self._room,
        )
        return Network(model=model, dataset=dataset, systems=systems)

    def _doubts(self, name: str, network: Network) -> set[str] | Exception:
        expected = self._prepared.recipe.expected_clean(name)
        try:
            bare = network.systems.scored(NamedDefense())
            shards = network.shards(self.batches())
            wanted = network.model.expect_clean if expected is None else expected
            found = clean_doubts(bare, shards, wanted, self._prepared.facts.clusters)
        except Exception as error:  # noqa: BLE001 (it is what each of the cells fails with)
            return error
        return found | bare.flags
