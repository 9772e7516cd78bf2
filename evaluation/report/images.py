"""`foolbench.image_scores`: the scores of a run's rows image by image."""

from pathlib import Path

import pandas as pd

from ..leaderboard.abstaining import RATES as ABSTAINING
from ..leaderboard.columns import CELL
from .scored_rows import named, scored_rows

COLUMNS = {
    "row": "number of the row in leaderboard.csv, the first being 1",
    **dict.fromkeys((*CELL, "metric"), "as in leaderboard.csv"),
    "sample": "index of the image in its data set",
    "clean": "the metric of the defended system on the clean image, mean over draws",
    "gfr": "how far the answer to the attacked image is from the system's own to the clean one, in 0..1",
    "floor": "the same for the clean image with independent draws",
    "attacked": "the metric on the attacked image, mean over draws",
    "robust": "the worse of `clean` and `attacked`; of a worst case, of all its attacks",
    "at_target": "the metric against what the attack was to reach, mean over draws; of attacks with targets",
    **dict.fromkeys(ABSTAINING, "as in leaderboard.csv, but of one image: mean over draws"),
    "linf": "largest change of a value of a pixel",
    "l2": "L2 norm of the change",
    "l1": "L1 norm, of attacks with a budget in that",
    "l0": "how many values differ, of attacks with a budget in that",
    "layer_shift": "how far the last of the recipe's `layers` moves, relative to its norm on the clean image",
    "undone": "1 where it fooled until `storage` rounded it",
    "forwards": "images sent through the network to craft it",
    "backwards": "gradients taken to craft it",
    "queries": "points asked about until it was fooled, or in all; of attacks that count them",
    "seconds": "its share of the time to craft",
    "cluster": "number of the group of images that depend on each other",
}
"""The columns in their order, each with its meaning.

A column against the truth needs labels; a column that no row has is left out.
"""


def image_scores(run: str | Path, row: int | None = None) -> pd.DataFrame:
    """Return the scores of every finished row of a run, or of one row, with a line per image; see `COLUMNS`.

    `run` is the result folder, and `row` a row's number in leaderboard.csv, counted from 1. In a worst case, each image
    has the scores of the attack that fooled it. Raises OutputError for a folder without a run, and ConfigError for a
    number that no row has, or if there are no scores.
    """
    frames = [named(scores.images, number, line) for number, line, scores in scored_rows(Path(run), row)]
    whole = pd.concat(frames, ignore_index=True)
    return whole.reindex(columns=[name for name in COLUMNS if name in whole])
