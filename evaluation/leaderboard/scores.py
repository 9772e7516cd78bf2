"""The scores of a system on each image, with the statistics from which metrics of the whole set are computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...core.task import Metric, Numbers
from ..ledger.record import SHARES, Outcomes
from .lowest import lowest

_AMONG_EQUALS = ("robust", "corrected", "detected")
"""The columns that break ties between attacks, for instance on images that no attack fools."""
_OF_METRIC = ("clean", "attacked", "at_target", "gfr", "floor")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """The scores of one system on a set of images under one attack, or under several attacks combined.

    `images` has a row per image, ordered by `sample`. Its columns for the metric of each image alone are `gfr` and
    `floor` and, if there are labels, `clean`, `attacked` and `robust`; others are about size and cost. For a metric
    that is no mean over images, such as mIoU, `behind` has the statistics (N, seeds, S) that are summed, for each of
    these columns; for a mean it is empty. `flags` are reasons to doubt the scores.
    """

    metric: Metric
    images: pd.DataFrame
    behind: Mapping[str, Numbers] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()

    @classmethod
    def of(cls, outcomes: Outcomes, name: str, metric: Metric) -> Self:
        """Return the scores of a ledger's outcomes for a metric. Raises KeyError or ValueError if they do not fit."""
        kept_as, ordered = metric.kept_as or name, outcomes.ordered()
        images, behind, kept = ordered.frame(kept_as), {}, ordered.metrics[kept_as]
        if not metric.keeps_rates:
            statistics = {column: kept[column].astype(float) for column in _OF_METRIC if column in kept}
            images = images.assign(**{column: _alone(metric, column, found) for column, found in statistics.items()})
            behind = {} if metric.is_mean else {column: found[:, None] for column, found in statistics.items()}
        if images.empty or any(
            images[column].max() > metric.range for column in ("clean", "attacked", "at_target") if column in images
        ):
            raise ValueError(f"scores that are no {name}")
        return cls(metric=metric, images=images, behind=behind, flags=outcomes.flags)._with_robust()

    def __len__(self) -> int:
        return len(self.images)

    def __contains__(self, column: str) -> bool:
        """Return whether `images` has a column."""
        return column in self.images

    @property
    def clusters(self) -> Numbers | None:
        """The cluster number of each image, (N,); None if every image stands alone."""
        return self.numbers("cluster") if "cluster" in self else None

    @property
    def seeds(self) -> int:
        """The number of seeds whose statistics `behind` has; 1 for a metric that is a mean."""
        return next((found.shape[1] for found in self.behind.values()), 1)

    def numbers(self, column: str) -> Numbers:
        """Return a column of `images` as float64 (N,)."""
        return self.images[column].to_numpy(float)

    def statistics(self, column: str, seeds: int = 1) -> Numbers:
        """Return the statistics behind a column, (N, seeds, S), repeating them if there are fewer seeds."""
        return np.take(self.behind[column], np.arange(seeds) % self.seeds, axis=1)

    def with_columns(self, **columns: Numbers) -> Self:
        """Return the scores with these columns, (N,), added or replaced in `images`."""
        return replace(self, images=self.images.assign(**columns))

    def without(self, column: str) -> Self:
        """Return the scores without a column of the metric, if they have it."""
        behind = {name: found for name, found in self.behind.items() if name != column}
        return replace(self, images=self.images.drop(columns=column, errors="ignore"), behind=behind)

    def _with_robust(self) -> Self:
        """Add the column `robust`, the worse of `clean` and `attacked`, if there are labels.

        An attack that changes predictions puts some wrong ones right. That must not help the system, since the clean
        image is within every budget, too.
        """
        if "attacked" not in self:
            return self
        if self.metric.is_mean:
            worse = np.maximum if self.metric.error else np.minimum
            return self.with_columns(robust=worse(self.numbers("clean"), self.numbers("attacked")))
        either = [self._only(column, "robust") for column in ("clean", "attacked")]
        robust = chosen(either, worst(either, "robust"))
        return replace(self.with_columns(robust=robust.numbers("robust")), behind={**self.behind, **robust.behind})

    def _only(self, column: str, name: str) -> "Scores":
        images = pd.DataFrame({name: self.images[column]})
        return Scores(metric=self.metric, images=images, behind={name: self.behind[column]})


def worst(members: Sequence[Scores], column: str) -> NDArray[np.int64]:
    """Return for each image the index, (N,), of the member whose column is worst.

    Ties go to the member that is worst in `robust`, then in `corrected`, then in `detected`, so that the order in which
    attacks are listed does not matter. For a metric that does not separate into single images, it is the choice with
    the worst metric of the whole set that a search finds.
    """
    metric = members[0].metric
    if metric.is_mean or metric.separable:
        known = [name for name in dict.fromkeys([column, *_AMONG_EQUALS]) if all(name in one for one in members)]
        best_last = [[_goodness(one, name) for one in members] for name in reversed(known)]
        return np.lexsort(np.array(best_last), axis=0)[0]
    return lowest([one.statistics(column)[:, 0] for one in members], metric)


def chosen(members: Sequence[Scores], choice: NDArray[np.int64]) -> Scores:
    """Take each image from the member with the index in `choice` (N,); columns that this member lacks are NaN there."""
    parts = [one.images[choice == number] for number, one in enumerate(members)]
    images = pd.DataFrame(pd.concat([part for part in parts if len(part)]).sort_index())
    rows = np.arange(len(choice))
    behind = {name: np.stack([one.behind[name] for one in members])[choice, rows] for name in members[0].behind}
    return Scores(metric=members[0].metric, images=images, behind=behind)


def _goodness(scores: Scores, column: str) -> Numbers:
    of_metric = column in ("clean", "attacked", "robust")
    return (
        -scores.numbers(column) if column in SHARES or (of_metric and scores.metric.error) else scores.numbers(column)
    )


def _alone(metric: Metric, column: str, statistics: Numbers) -> Numbers:
    """Return a column of single images from their statistics (N, S)."""
    values = metric.of_images(statistics)
    return metric.lack(values) if column in SHARES else values
