"""Tell after how many queries each image was fooled, for black-box attacks that count their queries.

An image counts as fooled from the query on at which its search ended, with the share at which scoring finds it fooled.
An image that nothing fools has spent all queries and counts nowhere. An image that only scoring finds fooled, possible
behind a randomized system, counts from the last query on. So a curve ends at the fooling rate of its row. It is the
curve of a single run: an attack such as Square, given fewer queries to plan for, may fool more images by then.

There are no such counts for attacks that do not end their search at the first success (such as searches for the nearest
boundary), that continue where others have failed, or that queried another system than the scored one.
"""

from dataclasses import replace

from ...core.query_attack import QueryAttack
from ..grid.cells import Cell
from .curve import Taken
from .scores import Scores

QUERIES = "queries"
"""The column of scores with the queries spent on each image."""
QUERY_AREA = "area_queries"
"""The column of scores with the share of query counts, up to the attack's own, at which an image is fooled."""


def counts_queries(cell: Cell) -> bool:
    """Return whether a cell's attack counts queries of the very system that is scored, and attacks every image."""
    return isinstance(cell.job.attack, QueryAttack) and cell.direct and cell.job.after is None


def queries(cell: Cell, scores: Scores) -> Taken | None:
    """Return the queries spent on each image; None if they are not counted, or the metric is no mean over images."""
    if not counts_queries(cell) or not scores.metric.is_mean:
        return None
    return Taken(values=scores.numbers(QUERIES), fooled=scores.numbers("gfr"))


def with_query_areas(cell: Cell, scores: Scores) -> Scores:
    """Add the column `QUERY_AREA` if queries are counted."""
    found = queries(cell, scores)
    if found is None:
        return scores
    assert isinstance(cell.job.attack, QueryAttack)
    area = found.fooled * (1 - found.values / cell.job.attack.queries)
    return scores.with_columns(**{QUERY_AREA: area})


def without_query_areas(scores: Scores) -> Scores:
    """Drop the column `QUERY_AREA`, which several attacks together do not have: each of them spent queries."""
    return replace(scores, images=scores.images.drop(columns=QUERY_AREA, errors="ignore"))
