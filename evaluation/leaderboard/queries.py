"""After how many queries each image was fooled, by black-box attacks that count them.

An image counts from the query on with which its search ended, and as much as the scoring says it is fooled. One that
nothing fools took all queries, and counts nowhere. One that the search did not see fooled and the scoring does, as a
randomized system's may be, counts from the last query on. So a curve ends at the rate of its row. It is the curve of
one run: with fewer queries to plan for, an attack such as Square may fool more by then.

An attack that does not end its search at the first success, as one that looks for the nearest boundary, has no such
number; nor has one that goes on where others have failed, or that asked another system than the one that is scored.
"""

from dataclasses import replace

from ...core.query_attack import QueryAttack
from ..grid.cells import Cell
from .curve import Taken
from .scores import Scores

QUERIES = "queries"
"""The column of scores."""
QUERY_AREA = "area_queries"
"""The column that says at what share of all numbers of queries an image is fooled."""


def counts_queries(cell: Cell) -> bool:
    return isinstance(cell.job.attack, QueryAttack) and cell.direct and cell.job.after is None


def queries(cell: Cell, scores: Scores) -> Taken | None:
    """None where they were not counted, and where a metric is no matter of single images."""
    if not counts_queries(cell) or not scores.metric.is_mean:
        return None
    return Taken(values=scores.numbers(QUERIES), fooled=scores.numbers("gfr"))


def with_query_areas(cell: Cell, scores: Scores) -> Scores:
    """With the column `QUERY_AREA` where there are queries."""
    found = queries(cell, scores)
    if found is None:
        return scores
    assert isinstance(cell.job.attack, QueryAttack)
    area = found.fooled * (1 - found.values / cell.job.attack.queries)
    return scores.with_columns(**{QUERY_AREA: area})


def without_query_areas(scores: Scores) -> Scores:
    """Of several attacks together, none of which has asked alone."""
    return replace(scores, images=scores.images.drop(columns=QUERY_AREA, errors="ignore"))
