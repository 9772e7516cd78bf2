"""`foolbench.image_scores`: the scores of a run's rows image by image."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ...core.errors import ConfigError
from ..leaderboard.abstaining import RATES as ABSTAINING
from ..leaderboard.columns import CELL
from ..leaderboard.scores import Scores
from ..leaderboard.source import Source
from ..leaderboard.system_rows import Row
from ..leaderboard.table import leaderboard_rows, system_rows
from ..recipe.plugins import load_plugins
from .finished import finished_run

COLUMNS = {
    "row": "number of the row in leaderboard.csv, the first being 1",
    **dict.fromkeys((*CELL, "metric"), "as in leaderboard.csv"),
    "sample": "index of the image in its data set",
    "clean": "the metric of the defended system on the clean image, mean over draws",
    "gfr": "how far the answer to the attacked image is from the system's own to the clean one, in 0..1",
    "floor": "the same for the clean image with independent draws",
    "attacked": "the metric on the attacked image, mean over draws",
    "robust": "the worse of `clean` and `attacked`; of a worst case, of all its attacks",
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
    load_plugins([])
    folder = Path(run)
    with finished_run(folder) as finished:
        rows = leaderboard_rows(finished)
        numbers = {_key(line): number for number, line in enumerate(rows, start=1)}
        if row is not None and row not in numbers.values():
            raise ConfigError(f"Expected a row from 1 to {len(rows)}, got {row}.")
        scored = (found for source in finished.sources for found in _scored(source))
        named = ((numbers[_key(line)], line, scores) for line, scores in scored)
        frames = {
            number: scores.images.assign(row=number, **{name: line[name] for name in (*CELL, "metric")})
            for number, line, scores in named
            if row in (None, number)
        }
    if not frames:
        told = "it has none: the column error of leaderboard.csv says why" if row else "none is finished"
        raise ConfigError(f"Expected scores of {f'row {row}' if row else 'rows'} of {folder}, but {told}.")
    whole = pd.concat([frames[number] for number in sorted(frames)], ignore_index=True)
    return whole.reindex(columns=[name for name in COLUMNS if name in whole])


def _scored(source: Source) -> Iterator[tuple[Row, Scores]]:
    """Yield the finished rows of one model and metric with their scores."""
    for system in system_rows(source):
        for row, scores in system.scored():
            if scores is not None:
                yield row, scores


def _key(row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in (*CELL, "metric"))
