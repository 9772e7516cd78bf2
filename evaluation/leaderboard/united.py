"""The scores of several cells as those of one: their worst case, or their mean."""

from collections.abc import Sequence

import pandas as pd

from ..ledger.ledger import Costs
from .distances import largest_area


def worst_case(members: Sequence[pd.DataFrame], *, chance: bool, last: bool = False) -> pd.DataFrame:
    """Per image of several attacks' scores: fooled if one of them fooled it, at the cost of all of them.

    Where `chance` has a part in the scores, those of the one attack that fools most: at each image the largest of
    several such rates would make a strong attack of many harmless ones. Of an ensemble, whose `last` member has the
    strongest points of all, chosen by other draws than these, it is that one.
    """
    scores = pd.concat(members)
    by_sample = scores.groupby("sample")
    if chance:
        strongest = members[-1] if last else max(members, key=lambda member: member.gfr.mean())
        found = strongest.set_index("sample").sort_index()
    else:
        strongest = scores.sort_values("gfr", ascending=False, kind="stable").groupby("sample").head(1)
        found = strongest.set_index("sample").sort_index()
        if "robust" in found:
            found["robust"] = by_sample.robust.min()
    for cost in Costs._fields:
        found[cost] = by_sample[cost].sum()
    return largest_area(members, found).reset_index()


def mean_over_seeds(members: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Per image the mean of the scores of one attack that was crafted several times, and what it costs once."""
    by_sample = pd.concat(members).groupby("sample")
    found = pd.DataFrame(by_sample.mean())
    found["linf"] = by_sample.linf.max()
    return found.reset_index()
