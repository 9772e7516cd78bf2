"""`foolbench.class_scores`: the scores of a run's maps image by image and class by class."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ...core.errors import ConfigError
from ...core.task import Numbers
from ..leaderboard.scores import Scores
from .scored_rows import named, scored_rows


def class_scores(run: str | Path, row: int | None = None) -> pd.DataFrame:
    """Return the scores of rows whose metric counts pixels of classes, as `miou` does, with a line per image and class.

    A line is a class that the truth of an image has: its number `class`, its `pixels` there, and its intersection over
    union with the prediction for the clean and for the attacked image, `clean` and `attacked` in 0..1. From these
    follow scores of each class, or of small and large objects. In a worst case, an image has the scores of the attack
    that the worst case takes. `run` and `row` are those of `image_scores`, and so are the errors; raises ConfigError
    also if no such row is scored against a truth.
    """
    frames = [
        named(_classes(scores, by_class), number, line)
        for number, line, scores in scored_rows(Path(run), row)
        if (by_class := scores.metric.by_class) is not None and "attacked" in scores.behind
    ]
    if not frames:
        raise ConfigError(f"Expected rows of {run} whose metric counts pixels of classes, as miou does, got none.")
    return pd.concat(frames, ignore_index=True)


def _classes(scores: Scores, by_class: Callable[[Numbers], tuple[Numbers, Numbers]]) -> pd.DataFrame:
    pixels, clean = by_class(scores.statistics("clean").mean(axis=1))  # means over seeds
    _, attacked = by_class(scores.statistics("attacked").mean(axis=1))
    image, label = np.nonzero(pixels)
    return pd.DataFrame(
        {
            "sample": scores.images["sample"].to_numpy()[image],
            "class": label,
            "pixels": np.rint(pixels[image, label]).astype(int),  # means over draws
            "clean": clean[image, label],
            "attacked": attacked[image, label],
        }
    )
