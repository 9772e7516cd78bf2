"""What the rows of defended systems are compared with: the bare network on the same images."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .rates import point
from .scores import Scores
from .stats import Estimate, estimate


@dataclass(frozen=True, kw_only=True)
class Undefended:
    """The `clean` rate of the bare network, in 0..1, and on which images, bool (N,), an attack succeeded, by its job.

    An attack succeeds on an image that the network has right and, attacked, wrong. `clean` is None without labels.
    """

    clean: float | None = None
    successes: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Iterable[tuple[str, Scores]]) -> Self:
        """Return what the scores of the bare network say, given with the job that each is of."""
        labelled = [(job, scores) for job, scores in found if "clean" in scores]
        successes = {job: _successes(scores) for job, scores in labelled if scores.metric.proportion}
        return cls(clean=point(labelled[0][1], "clean") if labelled else None, successes=successes)

    def recovered(self, job: str, scores: Scores) -> Estimate | None:
        """Return how often, in 0..1, a defended system has those images right on which the same attack succeeded."""
        among = self.successes.get(job)
        if among is None or not among.any():
            return None
        right = scores.numbers("corrected" if "corrected" in scores else "attacked")
        clusters = None if scores.clusters is None else scores.clusters[among]
        return estimate(right[among], proportion=True, clusters=clusters)


def _successes(scores: Scores) -> NDArray[np.bool_]:
    return (scores.numbers("clean") == 1) & (scores.numbers("attacked") == 0)
