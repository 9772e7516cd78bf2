"""Read the scores that rows are made from: a run with its ledger, and one model and metric of a run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ...core.errors import FoolbenchError
from ...core.task import Metric
from ...core.universal_attack import UniversalAttack
from ..grid.cells import Cell
from ..grid.digest import digest
from ..grid.facts import Facts
from ..grid.grid import Grid
from ..grid.identity import Identity, look
from ..ledger.ledger import DamagedRecordError, Ledger
from ..ledger.record import Outcomes
from ..recipe.recipe import Recipe
from .scores import Scores


class MissingScoresError(FoolbenchError):
    """A cell has no scores; `status` is "error" if it failed, or "pending" if it was not reached."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class ScoredRun:
    """All that the rows of a run are made from; outcomes are read from its ledger at each access."""

    recipe: Recipe
    facts: Facts
    ledger: Ledger

    @cached_property
    def grid(self) -> Grid:
        return Grid(self.recipe, self.facts.identities)

    @cached_property
    def name(self) -> str:
        """A short hash, equal for equal recipes on equal data and models."""
        return digest(self.recipe.content, dict(self.facts.identities))[:12]

    @cached_property
    def looks(self) -> Mapping[str, str]:
        """By network, the name of the look at it with this run's images: it takes long for many, and each cell asks."""
        identities = self.facts.identities
        return {name: look(name, identities, self.facts.samples) for name in identities}

    @property
    def sources(self) -> "Iterator[Source]":
        """Every combination of a model of the recipe and a metric of the task."""
        for model in self.recipe.model_labels:
            for name, metric in self.facts.task.metrics.items():
                yield Source(run=self, model=model, name=name, metric=metric)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One model and metric of a run, `name` being that of the metric."""

    run: ScoredRun
    model: str
    name: str
    metric: Metric

    @property
    def identity(self) -> Identity:
        return self.run.facts.identities[self.model]

    @cached_property
    def cells(self) -> list[Cell]:
        """The cells in which the model is scored, whichever network their attacks are crafted on."""
        return self.run.grid.cells_of(self.model)

    def key(self, cell: Cell) -> str:
        return self.run.grid.key(cell)

    def scores(self, cell: Cell) -> Scores:
        """Return the scores of a cell; the cost of a universal attack is divided evenly among the images.

        Raises MissingScoresError for a cell that failed or is not finished.
        """
        try:
            found = self.run.ledger.outcomes(self.key(cell))
            wanted = None if found is None else found.only(self.run.facts.ordered)
            if wanted is None or len(wanted.samples) != len(self.run.facts.samples):
                message = self.run.ledger.error(self.key(cell))
                raise MissingScoresError("error", message) if message else MissingScoresError("pending", "not run yet")
            doubts = self._doubts(cell)
        except DamagedRecordError as damage:
            raise MissingScoresError("error", str(damage)) from None
        scores = self._grouped(self._costed(cell, self._scored(wanted)))
        return replace(scores, flags=scores.flags | doubts)

    def _doubts(self, cell: Cell) -> set[str]:
        """Return the flags of the source and the scored network, as found on exactly the images of this table.

        On fewer images, among which a cell may have been scored first, other flags may have been found. Raises
        MissingScoresError if a network was not checked on these images, or if the check forbids its use.
        """
        found = set[str]()
        for name in dict.fromkeys([cell.job.source, cell.model]):
            known = self.run.ledger.doubts(self.run.looks[name])
            if known is None:
                raise MissingScoresError("pending", f"{name} was not looked at with these images; run the recipe again")
            if known.refusal is not None:
                raise MissingScoresError("error", known.refusal)
            found |= known.flags
        return found

    def _scored(self, outcomes: Outcomes) -> Scores:
        try:
            return Scores.of(outcomes, self.name, self.metric)
        except (KeyError, ValueError):
            raise MissingScoresError(
                "error", f"The ledger has scores that are no {self.name}; choose another --out."
            ) from None

    def _costed(self, cell: Cell, scores: Scores) -> Scores:
        costs = self.run.ledger.costs(self.run.grid.key(cell.job))
        if costs is None and not isinstance(cell.job.attack, UniversalAttack):
            return scores
        if costs is None:
            raise MissingScoresError("error", "The ledger has lost what crafting cost; run the recipe again.")
        if self.run.ledger.is_of_another(self.key(cell), self.run.grid.key(cell.job)):
            raise MissingScoresError("pending", "scored with an earlier perturbation; run the recipe again")
        shared = {name: scores.numbers(name) + cost / len(scores) for name, cost in costs._asdict().items()}
        return scores.with_columns(**shared)

    def _grouped(self, scores: Scores) -> Scores:
        """Add the column `cluster` if images depend on each other."""
        groups = self.run.facts.groups
        return scores if groups is None else scores.with_columns(cluster=groups.astype(float))
