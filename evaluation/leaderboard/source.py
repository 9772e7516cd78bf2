"""What the rows of one model and metric are made from, and the scores of its cells in the ledger."""

from dataclasses import dataclass, replace

from ...core.attack import UniversalAttack
from ...core.errors import FoolbenchError
from ...core.task import Metric
from ..grid.cells import Cell
from ..grid.facts import Facts
from ..grid.identity import Identity, look
from ..ledger.ledger import DamagedRecordError, Ledger
from ..ledger.record import Outcomes
from ..recipe.recipe import Recipe
from .scores import Scores


class MissingScoresError(FoolbenchError):
    """A cell without numbers; `status` says whether it failed or was not reached."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Source:
    """One model and metric of a run."""

    recipe: Recipe
    facts: Facts
    ledger: Ledger
    model: str
    name: str
    metric: Metric

    @property
    def identity(self) -> Identity:
        return self.facts.identities[self.model]

    def key(self, cell: Cell) -> str:
        return cell.key(self.facts.identities)

    def scores(self, cell: Cell) -> Scores:
        """Of a finished cell; each image bears its share of what a universal attack cost. Raises MissingScoresError."""
        try:
            found = self.ledger.outcomes(self.key(cell))
            wanted = None if found is None else found.only(self.facts.ordered)
            if wanted is None or len(wanted.samples) != len(self.facts.samples):
                message = self.ledger.error(self.key(cell))
                raise MissingScoresError("error", message) if message else MissingScoresError("pending", "not run yet")
            doubts = self._doubts(cell)
        except DamagedRecordError as damage:
            raise MissingScoresError("error", str(damage)) from None
        scores = self._grouped(self._costed(cell, self._scored(wanted)))
        return replace(scores, flags=scores.flags | doubts)

    def _doubts(self, cell: Cell) -> set[str]:
        """Those about both networks with the images of this table: what was scored among fewer may have had others.

        Raises MissingScoresError where nobody has looked, and where what was seen forbids to use a network.
        """
        found = set[str]()
        for name in dict.fromkeys([cell.job.source, cell.model]):
            known = self.ledger.doubts(look(name, self.facts.identities, self.facts.samples))
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
        costs = self.ledger.costs(cell.job.key(self.facts.identities))
        if costs is None and not isinstance(cell.job.attack, UniversalAttack):
            return scores
        if costs is None:
            raise MissingScoresError("error", "The ledger has lost what crafting cost; run the recipe again.")
        if self.ledger.is_of_another(self.key(cell), cell.job.key(self.facts.identities)):
            raise MissingScoresError("pending", "scored with an earlier perturbation; run the recipe again")
        shared = {name: scores.numbers(name) + cost / len(scores) for name, cost in costs._asdict().items()}
        return scores.with_columns(**shared)

    def _grouped(self, scores: Scores) -> Scores:
        """With a column `cluster` where images depend on each other."""
        return scores if self.facts.groups is None else scores.with_columns(cluster=self.facts.groups.astype(float))
