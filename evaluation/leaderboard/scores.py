"""What a system came to on each image, and what a metric of all of them together is made of."""

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
"""What tells apart attacks that come to the same, of images where no attack fools, for one."""
_OF_METRIC = ("clean", "attacked", "gfr", "floor")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Of the same images under one attack, or several taken together; `flags` say what makes them doubtful.

    `images` has a row per image, ordered by `sample`. Of the metric its columns are `gfr` and `floor` and, where there
    are labels, `clean`, `attacked` and `robust`: what it comes to on each image alone. Of a metric that is no mean over
    images, as mIoU, `behind` has for each of these columns the statistics (N, seeds, S) that are summed; of a mean it
    is empty.
    """

    metric: Metric
    images: pd.DataFrame
    behind: Mapping[str, Numbers] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()

    @classmethod
    def of(cls, outcomes: Outcomes, name: str, metric: Metric) -> Self:
        """What a ledger has. Raises KeyError or ValueError for what are no scores of that metric."""
        kept_as, ordered = metric.kept_as or name, outcomes.ordered()
        images, behind, kept = ordered.frame(kept_as), {}, ordered.metrics[kept_as]
        if not metric.keeps_rates:
            statistics = {column: kept[column].astype(float) for column in _OF_METRIC if column in kept}
            images = images.assign(**{column: _alone(metric, column, found) for column, found in statistics.items()})
            behind = {} if metric.is_mean else {column: found[:, None] for column, found in statistics.items()}
        if images.empty or any(
            images[column].max() > metric.range for column in ("clean", "attacked") if column in images
        ):
            raise ValueError(f"scores that are no {name}")
        return cls(metric=metric, images=images, behind=behind, flags=outcomes.flags)._with_robust()

    def __len__(self) -> int:
        return len(self.images)

    def __contains__(self, column: str) -> bool:
        """Of `images`."""
        return column in self.images

    @property
    def clusters(self) -> Numbers | None:
        """Numbers of groups of images that depend on each other, where they do."""
        return self.numbers("cluster") if "cluster" in self else None

    @property
    def seeds(self) -> int:
        """How many seeds of one attack they are the mean of, as far as that matters to a metric."""
        return next((found.shape[1] for found in self.behind.values()), 1)

    def numbers(self, column: str) -> Numbers:
        """A column of `images`."""
        return self.images[column].to_numpy(float)

    def statistics(self, column: str, seeds: int = 1) -> Numbers:
        """Those behind a column, (N, seeds, S): fewer seeds come again."""
        return np.take(self.behind[column], np.arange(seeds) % self.seeds, axis=1)

    def with_columns(self, **columns: Numbers) -> Self:
        """Also these, one entry an image."""
        return replace(self, images=self.images.assign(**columns))

    def _with_robust(self) -> Self:
        """The worse of `clean` and `attacked`: the clean image is within every budget, too, and no attack helps by it.

        An attack that changes an answer puts some of the wrong ones right.
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
    """Which of several scores of the same images have the worst of a column, image by image.

    Of equal ones the one whose image is right least, then the one that does not correct, nor detect it: whatever order
    attacks are listed in. Where that is no matter of single images, their worst together, as near as a search finds it.
    """
    metric = members[0].metric
    if metric.is_mean or metric.separable:
        known = [name for name in dict.fromkeys([column, *_AMONG_EQUALS]) if all(name in one for one in members)]
        best_last = [[_goodness(one, name) for one in members] for name in reversed(known)]
        return np.lexsort(np.array(best_last), axis=0)[0]
    return lowest([one.statistics(column)[:, 0] for one in members], metric)


def chosen(members: Sequence[Scores], choice: NDArray[np.int64]) -> Scores:
    """Each image from the member that is chosen for it. A column that this one lacks is NaN there."""
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
