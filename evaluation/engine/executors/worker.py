"""Carry out units of work with the networks of a run, in the process of the run or in one of its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import ParamSpec, TypeVar

from ....core.errors import ConfigError, OutputError, foreign_errors, one_line
from ....core.perturbation import Perturbation
from ....core.universal_attack import UniversalAttack
from ...grid.cells import Job
from ...grid.defenses import NamedDefense
from ...grid.grid import Grid
from ...leaderboard.flags import gradient_flags
from ...leaderboard.grouping import grouped
from ...ledger.ledger import Costs, Maker
from ..crafting.crafted import Crafted
from ..crafting.crafter import Crafter, name_of_images
from ..crafting.perturbation_file import PerturbationFile
from ..crafting.placing import placed
from ..crafting.resizing import carried_over
from ..crafting.shard import Shard
from ..memory.heap import Heap
from ..memory.prefetch import Prefetcher
from ..networks import training_data
from ..networks.networks import Network, Networks
from ..networks.setup import Setup
from ..networks.undoing import undoing
from ..provenance.maker import maker
from ..scoring.clean import look
from ..scoring.example import keep_example
from ..work.progress import Steps
from ..work.schedule import Step
from ..work.units import Failed, Found, Look, Result, Score, Scored, Search, Seen, Taught, Teach, Unit
from .cached_perturbations import keep_found, recall_found
from .naming import name_of

P = ParamSpec("P")
T = TypeVar("T")


def attempt(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | Failed:
    """Return the result of `work`, or Failed if it raises. Raises OutputError, after which nothing can be stored."""
    try:
        return work(*arguments, **options)
    except OutputError:
        raise
    except foreign_errors() as error:
        return Failed(one_line(error))


class Worker:
    """Carries out units of work. Whatever attacks, defenses and networks raise becomes a Failed result."""

    def __init__(self, setup: Setup, networks: Networks, steps: Steps) -> None:
        self._setup, self._networks, self._steps = setup, networks, steps
        self._grid = Grid(setup.recipe, setup.identities)
        self._following: Step | None = None
        self._reading, self._heap = Prefetcher(), Heap()
        self._shelf = (setup.shared or setup.own) if setup.recipe.keep_images else None
        """The shelf of adversarial images; None if they are not kept."""
        self._shared: dict[str, str] = {}
        self._makers: dict[str, Maker] = {}

    def carry_out(self, unit: Unit, following: Step | None = None) -> Iterator[Result]:
        """Yield the results of a unit as they come. Raises OutputError if one cannot be stored, which fails no cell.

        The images of `following`, the step that may come next, are loaded meanwhile.
        """
        self._following = following
        try:
            match unit:
                case Look():
                    yield attempt(self._look, unit)
                case Teach():
                    yield attempt(self._teach, unit)
                case Search():
                    yield from self._search(unit)
                case Score():
                    yield from self._score(unit)
        finally:
            self._heap.after_unit()

    def _look(self, unit: Look) -> Seen:
        network = self._networks.use(unit.network)
        return look(network.systems.scored(NamedDefense()), self._shard(network, unit.samples))

    def _teach(self, unit: Teach) -> Taught:
        systems = self._networks.use(unit.network).systems
        return Taught(repr(systems.fitted(self._grid.defenses[unit.defense])))

    def _search(self, unit: Search) -> Iterator[Result]:
        """Yield a perturbation unless it is kept; other processes that want it wait until the caller has kept it."""
        with self._setup.own.exclusive(unit.job):
            found = attempt(self._found, unit)
            if found is not None:
                yield found

    def _found(self, unit: Search) -> Found | None:
        job = self._grid.jobs[unit.job]
        source = self._networks.use(job.source)
        if self._file(source, job).kept() is not None:
            return None
        return Found(*self._searched_or_shared(source, job), self._maker(job.source))

    def _searched_or_shared(self, source: Network, job: Job) -> tuple[Perturbation, Costs]:
        cache = self._setup.shared
        if cache is None:
            return self._searched(source, job)
        name = self._shared_name(source, job)
        with cache.exclusive(name):
            found = recall_found(cache, name, job.attack.threat)
            if found is None:
                found = self._searched(source, job)
                keep_found(cache, name, *found)
        return found

    def _searched(self, source: Network, job: Job) -> tuple[Perturbation, Costs]:
        assert isinstance(job.attack, UniversalAttack)
        crafter = self._crafter(source, job)
        seed, prior = self._setup.recipe.seed, job.attack.prior
        with self._steps.step(f"  {job.attack_name}, prior {prior}", 1, "searches") as step:
            return crafter.craft(training_data.of(source, prior, job.training, seed, self._steps, step))

    def _score(self, unit: Score) -> Iterator[Result]:
        crafted = attempt(self._crafted, unit)
        if isinstance(crafted, Failed):
            yield crafted
            return
        job, shard, images, perturbation = crafted
        for model, cells in grouped(unit.cells, lambda key: self._grid.cells[key].model).items():
            there = attempt(self._carried, model, shard, images, perturbation, job)
            for key in cells:
                found = there if isinstance(there, Failed) else attempt(self._scored, key, *there)
                yield found._replace(cell=key)

    def _crafted(self, unit: Score) -> tuple[Job, Shard, Crafted, Perturbation | None]:
        """Return the job, the shard, its adversarial images, and the perturbation of a universal attack.

        Raises ConfigError if the job or one of the cells is unknown in this process.
        """
        job = self._grid.jobs[unit.job]
        self._grid.check(unit.cells)
        source = self._networks.use(job.source)
        crafter, shard = self._crafter(source, job), self._shard(source, unit.samples)
        perturbation = self._perturbation(source, job)
        crafted = crafter.images(shard, perturbation)
        self._read_ahead()
        return job, shard, crafted, perturbation

    def _shard(self, network: Network, samples: Sequence[int]) -> Shard:
        shard = network.shard(samples)
        if isinstance(self._following, Look | Score):
            self._networks.foresee(self._following.network, self._following.samples)
        return shard

    def _read_ahead(self) -> None:
        """Start to read the kept images of the next unit, while the current ones are scored.

        This is only a hint: it does nothing if their name is not known yet, because computing it may raise an error.
        """
        unit = self._following
        if not isinstance(unit, Score) or unit.job not in self._grid.jobs:
            return
        job = self._grid.jobs[unit.job]
        place = self._place_in_run(job) if self._setup.shared is None else self._shared.get(self._grid.key(job))
        if place is not None and self._shelf is not None and not isinstance(job.attack, UniversalAttack):
            self._reading.begin(self._shelf.read, name_of_images(place, unit.samples))

    def _carried(
        self, model: str, shard: Shard, crafted: Crafted, perturbation: Perturbation | None, job: Job
    ) -> tuple[Shard, Crafted]:
        """Return a model's own clean images, and the adversarial images carried over to its input."""
        network, facts = self._networks.use(model, beside=job.source), self._setup.identities
        if facts[model]["data"] == facts[job.source]["data"]:
            return shard, crafted if crafted.goals is None else self._goals_in_common(crafted, job.source, model)
        there = network.shard(shard.samples)
        if perturbation is None:
            source = self._networks.use(job.source, beside=model)
            change = placed(crafted.x_adv - shard.x, shard.samples, source.dataset, network.dataset)
        else:
            change = perturbation.delta[None].to(shard.x.device)
        return there, carried_over(crafted, change, there.x, job.attack.threat)

    def _goals_in_common(self, crafted: Crafted, source: str, model: str) -> Crafted:
        """Drop what the attack was to reach where the scored network calls its classes otherwise than the source."""
        pair = self._networks.use(source, beside=model), self._networks.use(model, beside=source)
        same = pair[0].model.class_names == pair[1].model.class_names
        return crafted if same else replace(crafted, goals=None)

    def _scored(self, key: str, shard: Shard, crafted: Crafted) -> Scored:
        cell = self._grid.cells[key]
        systems = self._networks.use(cell.model, beside=cell.job.source).systems
        system = systems.scored(cell.defense)
        with systems.checked(cell.defense):
            outcomes = system.score(shard, crafted, f"adversarial {cell.job.stream}", cell.job.attack.norm)
            if self._setup.samples[0] in shard.samples:
                keep_example(self._setup.folder, key, systems.bare, system, shard, crafted)
        doubtful = replace(outcomes, flags=outcomes.flags | gradient_flags(crafted.vanishing))
        return Scored(key, doubtful, self._maker(cell.model))

    def _maker(self, network: str) -> Maker:
        """Return the facts about this process, once the network is loaded: it may import libraries of its own."""
        if network not in self._makers:
            self._makers[network] = maker(self._setup.recipe, self._setup.device)
        return self._makers[network]

    def _crafter(self, source: Network, job: Job) -> Crafter:
        recipe, place = self._setup.recipe, self._grid.place(job)

        def refused() -> ConfigError:
            return ConfigError(f"{job.attack!r} has changed {job.source}; an attack may change images only.")

        return Crafter(
            model=source.systems.attacked(job.through),
            attack=job.attack,
            stream=job.stream,
            place=self._place(source, job),
            partial=(self._setup.folder / place).with_suffix(".partial"),
            seed=recipe.seed,
            storage=recipe.storage,
            pieces=source.systems.crafting(job.through),
            vanishing=lambda: source.systems.vanishing(job.through) if job.attack.access == "gradient" else 0.0,
            undoing=lambda: undoing(source.systems.undo, refused),
            prefetcher=self._reading,
            shelf=self._shelf,
            batch_matters=job.batch_matters,
            before=None if job.after is None else self._crafter(source, job.after),
        )

    def _place(self, source: Network, job: Job) -> str:
        """Return the job's name on the shelf."""
        return self._place_in_run(job) if self._setup.shared is None else self._shared_name(source, job)

    def _place_in_run(self, job: Job) -> str:
        return self._grid.place(job).as_posix()

    def _shared_name(self, source: Network, job: Job) -> str:
        """Return the job's name in the cache, computed once."""
        key = self._grid.key(job)
        if key not in self._shared:
            self._shared[key] = name_of(job, self._setup.identities, source, training_data.SUBSTITUTES)
        return self._shared[key]

    def _file(self, source: Network, job: Job) -> PerturbationFile:
        place = self._setup.folder / self._grid.place(job)
        return PerturbationFile(place=place, threat=job.attack.threat, shape=source.model.shape)

    def _perturbation(self, source: Network, job: Job) -> Perturbation | None:
        if not isinstance(job.attack, UniversalAttack):
            return None
        found = self._file(source, job).kept()
        if found is None:
            raise ConfigError(f"The perturbation {self._grid.place(job)} is gone; run the recipe again.")
        return found
