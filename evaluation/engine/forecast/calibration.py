"""Measure what work costs on this device, by carrying out a few images of each job of a recipe as in a run."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce

import torch

from ....core.errors import foreign_errors
from ....core.model import Model
from ....core.perturbation import Perturbation
from ....core.universal_attack import UniversalAttack
from ...grid.cells import Cell, Job
from ...ledger.ledger import Costs
from ..crafting.perturbation_file import PerturbationFile
from ..executors.worker import Worker
from ..networks.networks import Networks
from ..networks.prepare import Prepared
from ..networks.setup import Setup
from ..scoring.example import FOLDER as EXAMPLES
from ..work.progress import Steps
from ..work.units import Failed, Look, Result, Samples, Score, Search, Teach, Unit
from .impatience import Enough, Impatience, Watch
from .rates import Call, Rate
from .trial import Lesson, Trial

SIZES = (2, 4, 12)
"""The number of images in each call; the first call also pays for what is done once per process."""
PATIENCE = 3.0
"""Seconds after which a search that reports progress is stopped, and after which an attack gets no larger call."""


@dataclass(kw_only=True)
class Calibration:
    """The measured costs of a recipe's work.

    `looks` are the rates of predicting clean images, by network name; `scores` those of crafting and scoring, by job
    key. `searches` are the costs of whole searches, by job key; `lessons` those of whole lessons that are left to the
    run, by network name and defense digest. `failed` has the first error message, by job key, or `clean NAME` for a
    network's clean images. `image` is the mean size of a stored image in bytes, by job key, and `example` that of a
    cell's example file; `peak` is the peak memory in bytes, 0 if the system does not report it.
    """

    looks: dict[str, Rate] = field(default_factory=dict)
    scores: dict[str, Rate] = field(default_factory=dict)
    searches: dict[str, Costs] = field(default_factory=dict)
    lessons: dict[tuple[str, str], Costs] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    image: dict[str, float] = field(default_factory=dict)
    example: float = 0.0
    peak: int = 0


class Calibrator:
    """Measures costs by carrying out units in the folder of a setup, which must not be used for anything else."""

    def __init__(self, prepared: Prepared, setup: Setup, steps: Steps) -> None:
        self._prepared, self._setup, self._steps = prepared, setup, steps
        self._grid = prepared.grid
        self._impatience = Impatience(steps)
        self._lessons: dict[str, Lesson] = {}
        school = partial(Trial, lessons=self._lessons)
        self._networks = Networks(setup, prepared.network, self._impatience, school)
        self._worker = Worker(setup, self._networks, self._impatience)
        self._shards = list(_shards(setup.samples, setup.recipe.shard))
        self._found = Calibration()

    def calibrate(self) -> Calibration:
        """Measure and return the costs of all jobs but those with a network that could not be loaded."""
        models = self._prepared.models
        usable = {name for name, model in models.items() if isinstance(model, Model)}
        rows = self._grid.rows
        with self._steps.step("calibrating", len(rows), "attacks") as step:
            for job, row in rows:
                names = list(dict.fromkeys([job.source, *(cell.model for cell in row)]))
                if usable.issuperset(names):
                    self._look(names)
                    self._teach(job, row)
                    self._search(job)
                    self._score(job, row, names)
                step.advance(1)
        self._found.peak = self._peak(usable)
        sizes = [path.stat().st_size for path in (self._setup.folder / EXAMPLES).glob("*")]
        self._found.example = sum(sizes) / max(len(sizes), 1)
        self._networks.leave()
        return self._found

    def _look(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._found.looks:
                looks = [Look(network=name, title=f"  {name}  clean images", samples=shard) for shard in self._shards]
                self._found.looks[name] = self._rate(looks, [name], f"clean {name}")

    def _teach(self, job: Job, row: Sequence[Cell]) -> None:
        """Teach a row's defenses: short lessons in full, kept for the run; long ones on a few images, to time them."""
        taught = {(job.source, job.through.digest): job.through}
        taught |= {(cell.model, cell.defense.digest): cell.defense for cell in row}
        for (network, digest), defense in taught.items():
            if defense.learns:
                known = set(self._lessons)
                self._carry_out(Teach(network=network, title="", defense=digest))
                new = [lesson.costs for name, lesson in self._lessons.items() if name not in known]
                if new:
                    self._found.lessons[network, digest] = reduce(Costs.plus, new)

    def _search(self, job: Job) -> None:
        """Run a search until its whole cost is known, and keep a zero perturbation to score in place of its result."""
        if not isinstance(job.attack, UniversalAttack):
            return
        key, source = self._grid.key(job), self._networks.use(job.source)
        watch = Watch(source.model.passes, job.attack.validations, PATIENCE)
        try:
            with self._impatience.watched(watch):
                results = self._carry_out(Search(network=job.source, title="", job=key))
            self._note_failure(key, results)
            self._found.searches[key] = watch.spent
        except Enough as enough:
            self._found.searches[key] = enough.whole
        delta = torch.zeros(source.dataset.shape)
        file = PerturbationFile(
            place=self._setup.folder / self._grid.place(job),
            threat=job.attack.threat,
            shape=source.model.shape,
        )
        file.keep(Perturbation(delta=delta, threat=job.attack.threat))

    def _score(self, job: Job, row: Sequence[Cell], names: Sequence[str]) -> None:
        key, cells = self._grid.key(job), tuple(map(self._grid.key, row))
        title = f"  {job.source}  {job.attack_name}"
        scores = [Score(network=job.source, title=title, job=key, samples=shard, cells=cells) for shard in self._shards]
        self._found.scores[key] = self._rate(scores, names, key)
        kept = list((self._setup.folder / self._grid.place(job)).glob("*.safetensors"))
        images = sum(len(shard) for shard in self._shards[: len(kept)])
        self._found.image[key] = sum(path.stat().st_size for path in kept) / max(images, 1)

    def _rate(self, units: Sequence[Look | Score], networks: Sequence[str], what: str) -> Rate:
        """Measure a rate on as many of the units as `PATIENCE` allows."""
        calls: list[Call] = []
        with self._steps.step(units[0].title, sum(len(unit.samples) for unit in units), "images") as step:
            for unit in units:
                before = self._spent(networks)
                self._note_failure(what, self._carry_out(unit))
                costs = self._spent(networks).since(before)
                calls.append(Call(len(unit.samples), costs))
                step.advance(len(unit.samples))
                if len(calls) > 1 and costs.seconds > PATIENCE:
                    break
        return Rate.of(calls)

    def _carry_out(self, unit: Unit) -> list[Result]:
        return list(self._worker.carry_out(unit))

    def _note_failure(self, what: str, results: Iterable[Result]) -> None:
        for result in results:
            if isinstance(result, Failed):
                self._found.failed.setdefault(what, result.message)

    def _spent(self, networks: Sequence[str]) -> Costs:
        if self._setup.device.startswith("cuda"):
            torch.cuda.synchronize(self._setup.device)
        passes = [self._networks.use(name, beside=networks[0]).model.passes for name in networks]
        forwards, backwards = sum(one.forwards for one in passes), sum(one.backwards for one in passes)
        return Costs(forwards, backwards, time.perf_counter())

    def _peak(self, names: Iterable[str]) -> int:
        """Return the peak memory in bytes, after a forward and backward pass of a full batch through each network."""
        for name in names:
            network = self._networks.use(name)
            x = network.shard(self._setup.samples[: network.systems.bare.pieces.most]).x
            try:
                with torch.enable_grad():
                    network.model.logits(x.clone().requires_grad_()).sum().backward()
            except foreign_errors():  # such as that of a network without a gradient
                continue
        return peak_memory(self._setup.device)


def peak_memory(device: str) -> int:
    """Return the peak memory of this process in bytes, on the GPU if it uses one; 0 if it is not counted."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _shards(samples: Sequence[int], most: int) -> Iterator[Samples]:
    """Yield shards of the first samples of a run, of `SIZES` or `most`, as far as there are any."""
    start = 0
    for size in SIZES:
        shard = tuple(samples[start : start + min(size, most)])
        if shard:
            yield shard
        start += len(shard)
