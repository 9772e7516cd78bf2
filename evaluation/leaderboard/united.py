"""The scores of several cells as those of one: their worst case, or their mean."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..ledger.ledger import Costs
from .distances import with_largest_area
from .queries import without_query_areas
from .rates import point
from .scores import Scores, chosen, worst


def worst_case(members: Sequence[Scores], *, chance: bool, last: bool = False) -> Scores:
    """Per image of several attacks' scores: fooled if one of them fooled it, at the cost of all of them.

    Of a metric that is no matter of single images, as mIoU of a set, it is the worst choice of attacks that is found:
    an upper bound of what they could do together.

    Where `chance` has a part in the scores, each rate is that of the one attack for which it is worst: at each image
    the largest of several such rates would make a strong attack of many harmless ones. Of an ensemble, whose `last`
    member has the strongest points of all, chosen by other draws than these, all are of that one.
    """
    if chance and last:
        found = members[-1]
    elif chance:
        most = max(members, key=lambda member: point(member, "gfr"))
        found = (
            _with_robust_of(most, min(members, key=lambda member: point(member, "robust")))
            if "robust" in most
            else most
        )
    else:
        found = _most_fooled(members)
    costs = {cost: np.sum([member.numbers(cost) for member in members], axis=0) for cost in Costs._fields}
    return without_query_areas(with_largest_area(found.with_columns(**costs), members))  # they have asked together


def mean_over_seeds(members: Sequence[Scores]) -> Scores:
    """Per image the mean of the scores of one attack that was crafted several times, and what it costs once.

    The statistics behind scores stay those of each seed: a rate of the whole is the mean of the seeds' own.
    """
    means = pd.DataFrame(pd.concat([one.images for one in members]).groupby("sample", as_index=False).mean())
    images = means.assign(linf=np.max([member.numbers("linf") for member in members], axis=0))
    behind = {name: np.concatenate([member.behind[name] for member in members], axis=1) for name in members[0].behind}
    return Scores(metric=members[0].metric, images=images, behind=behind)


def _most_fooled(members: Sequence[Scores]) -> Scores:
    """Of what is robust the least, whichever attack it is at."""
    found = chosen(members, worst(members, "gfr"))
    if "robust" not in found:
        return found
    return _with_robust_of(found, chosen(members, worst(members, "robust")))


def _with_robust_of(found: Scores, robust: Scores) -> Scores:
    behind = {name: (robust if name == "robust" else found).behind[name] for name in found.behind}
    return replace(found.with_columns(robust=robust.numbers("robust")), behind=behind)
