"""The scores of several cells as those of one: their worst case, or their mean."""

from collections.abc import Sequence

import pandas as pd

from ...core.task import Metric
from ..ledger.ledger import Costs
from .distances import largest_area
from .frames import side_by_side, taken, worst
from .queries import QUERY_AREA
from .rates import point


def worst_case(members: Sequence[pd.DataFrame], metric: Metric, *, chance: bool, last: bool = False) -> pd.DataFrame:
    """Per image of several attacks' scores: fooled if one of them fooled it, at the cost of all of them.

    Of a metric that is no matter of single images, as mIoU of a set, it is the worst choice of attacks that is found:
    an upper bound of what they could do together.

    Where `chance` has a part in the scores, those of the one attack that fools most: at each image the largest of
    several such rates would make a strong attack of many harmless ones. Of an ensemble, whose `last` member has the
    strongest points of all, chosen by other draws than these, it is that one.
    """
    by_sample = pd.concat(members).groupby("sample")
    ordered = [member.set_index("sample").sort_index() for member in members]
    if chance:
        found = ordered[-1] if last else max(ordered, key=lambda member: point(metric, member, "gfr"))
        found = found.copy()
    else:
        found = taken(ordered, worst(metric, ordered, "gfr"))
        if "robust" in found:
            robust = [name for name in found if str(name).partition(":")[0] == "robust"]
            found[robust] = taken(ordered, worst(metric, ordered, "robust"))[robust]
    for cost in Costs._fields:
        found[cost] = by_sample[cost].sum()
    areas = largest_area(members, found).drop(columns=QUERY_AREA, errors="ignore")  # they have asked together
    return areas.reset_index()


def mean_over_seeds(members: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Per image the mean of the scores of one attack that was crafted several times, and what it costs once.

    The statistics behind scores stay those of each seed: a rate of the whole is the mean of the seeds' own.
    """
    by_sample = pd.concat(members).groupby("sample")
    found = pd.DataFrame(by_sample.mean())
    found["linf"] = by_sample.linf.max()
    behind = side_by_side([member.set_index("sample").sort_index() for member in members])
    return found.drop(columns=[name for name in found if ":" in str(name)]).join(behind).reset_index()
