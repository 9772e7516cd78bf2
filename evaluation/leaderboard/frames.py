"""A cell's outcomes as a table with a row per image: what each metric comes to there, and what it is made of.

Of a metric of statistics, the columns `clean`, `attacked`, `robust`, `gfr` and `floor` are what it is of each image
alone, and the statistics behind them lie beside them, one a column: `clean:0`, `clean:1`, ... Of a mean over seeds
those of the second are `clean@1:0` and so on: of a metric that is no mean, as mIoU, only each seed's own value counts.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...core.task import Metric, Numbers
from ..ledger.record import SHARES, Outcomes
from .lowest import lowest

_AMONG_EQUALS = ("robust", "corrected", "detected")
"""What tells apart attacks that come to the same, of images where no attack fools, for one."""
_OF_IMAGES = ("clean", "attacked", "gfr", "floor")


def frame_of(outcomes: Outcomes, name: str, metric: Metric) -> pd.DataFrame:
    """With a column `robust`, where there are labels. Raises ValueError for what are no scores of that metric."""
    kept_as = metric.kept_as or name
    frame = outcomes.frame(kept_as)
    if not metric.is_mean:
        found = outcomes.metrics[kept_as]
        wide = [_told(metric, column, found[column].astype(float)) for column in _OF_IMAGES if column in found]
        frame = pd.concat([frame, *wide], axis=1)
    if frame.empty or any(frame[column].max() > metric.range for column in ("clean", "attacked") if column in frame):
        raise ValueError(f"scores that are no {name}")
    return _with_robust(frame, metric) if "attacked" in frame else frame


def statistics(frame: pd.DataFrame, column: str, seed: int = 0) -> Numbers:
    """Those behind a column, (N, S)."""
    named = f"{column}@{seed}" if seed else column
    behind = [name for name in frame.columns if name.rpartition(":")[0] == named]
    return frame[behind].to_numpy(float)


def seeds_of(frame: pd.DataFrame) -> int:
    """How many seeds it is the mean of."""
    return 1 + max((int(name.partition(":")[0].rpartition("@")[2]) for name in frame if "@" in str(name)), default=0)


def side_by_side(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The statistics of one frame for each seed, all of the same images, behind names that tell them apart."""
    found: dict[str, Numbers] = {}
    for seed, frame in enumerate(frames):
        for name in frame:
            column, behind, place = str(name).partition(":")
            if behind:
                found[f"{column}@{seed}:{place}" if seed else str(name)] = frame[name].to_numpy(float)
    return pd.DataFrame(found, index=frames[0].index)


def worst(metric: Metric, frames: Sequence[pd.DataFrame], column: str) -> NDArray[np.int64]:
    """Which of several frames of the same images has the worst of a column, image by image.

    Of equal ones the one whose image is right least, then the one that does not correct, nor detect it: whatever order
    attacks are listed in. Where that is no matter of single images, their worst together, as near as a search finds it.
    """
    if metric.is_mean or metric.separable:
        known = [name for name in dict.fromkeys([column, *_AMONG_EQUALS]) if all(name in frame for frame in frames)]
        best_last = [[_goodness(metric, frame, name) for frame in frames] for name in reversed(known)]
        return np.lexsort(np.array(best_last), axis=0)[0]
    return lowest([statistics(frame, column) for frame in frames], metric)


def taken(frames: Sequence[pd.DataFrame], choice: NDArray[np.int64]) -> pd.DataFrame:
    """Each row from the frame that is chosen for it."""
    parts = [frame[choice == number] for number, frame in enumerate(frames)]
    return pd.DataFrame(pd.concat([part for part in parts if len(part)]).sort_index())


def _goodness(metric: Metric, frame: pd.DataFrame, column: str) -> Numbers:
    values = frame[column].to_numpy(float)
    of_metric = column in ("clean", "attacked", "robust")
    return -values if column in SHARES or (of_metric and metric.error) else values


def _told(metric: Metric, column: str, counted: Numbers) -> pd.DataFrame:
    """A column and its statistics."""
    values = metric.of_images(counted)
    columns = {column: metric.lack(values) if column in SHARES else values}
    return pd.DataFrame(columns | {f"{column}:{place}": of_place for place, of_place in enumerate(counted.T)})


def _with_robust(frame: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The worse of `clean` and `attacked`: the clean image is within every budget, too, and no attack helps by it.

    An attack that changes an answer puts some of the wrong ones right.
    """
    if metric.is_mean:
        worse = np.maximum if metric.error else np.minimum
        return frame.assign(robust=worse(frame.clean, frame.attacked))
    either = [_as_robust(frame, column) for column in ("clean", "attacked")]
    return pd.concat([frame, taken(either, worst(metric, either, "robust"))], axis=1)


def _as_robust(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column and its statistics, called robust."""
    return pd.DataFrame(
        {str(name).replace(column, "robust"): frame[name] for name in frame if str(name).partition(":")[0] == column}
    )
