"""What the rows of defended systems are compared with: the bare network on the same images."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .rates import point
from .scores import Scores
from .stats import Estimate, estimate


class Recovered(NamedTuple):
    """How many images an attack succeeded on without the defense, and how often, in 0..1, these are right with it.

    `rate` is None where there are no such images.
    """

    successes: int
    rate: Estimate | None


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

    def recovered(self, members: Mapping[str, Scores], *, worst: bool = False) -> Recovered | None:
        """Return what a system has right, by its scores under attacks, given by job; None if some job is unknown here.

        Several jobs are pooled. In their `worst` case an image counts where any of them succeeded, and is right if it
        is so under each one that did.
        """
        if not members.keys() <= self.successes.keys():
            return None
        among = np.stack([self.successes[job] for job in members])  # (jobs, images)
        right = np.stack([_right(scores) for scores in members.values()])
        if worst:
            right = np.where(among, right, 1).min(axis=0, keepdims=True)
            among = among.any(axis=0, keepdims=True)
        one = next(iter(members.values()))
        clusters = np.broadcast_to(np.arange(len(one)) if one.clusters is None else one.clusters, among.shape)
        rate = estimate(right[among], proportion=True, clusters=clusters[among]) if among.any() else None
        return Recovered(int(among.sum()), rate)


def _right(scores: Scores) -> NDArray[np.float64]:
    return scores.numbers("corrected" if "corrected" in scores else "attacked")


def _successes(scores: Scores) -> NDArray[np.bool_]:
    return (scores.numbers("clean") == 1) & (scores.numbers("attacked") == 0)
