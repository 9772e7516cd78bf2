"""Combine the scores of several cells of one system: their worst case, or their mean over seeds."""

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
    """Return the worst case over several attacks: an image is fooled if any of them fools it, at the cost of all.

    For a metric that does not separate into single images, such as the mIoU of a set, it is the worst choice of attacks
    that a search finds: another choice may be worse still, so that they might do more together.

    If the scores depend on `chance`, `gfr` (with all other rates) and `robust` are each taken whole from the one attack
    for which they are worst: the maximum per image over several random rates would turn many harmless attacks into a
    strong one. If the `last` member of an ensemble holds the strongest points of all, which were selected with other
    random draws than those of the scores, all rates are its own. A worst case has no `at_target`: its attacks may have
    other targets, or none.
    """
    members = [member.without("at_target") for member in members]
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
    return without_query_areas(with_largest_area(found.with_columns(**costs), members))  # whose queries add up


def mean_over_seeds(members: Sequence[Scores]) -> Scores:
    """Return the mean per image over several seeds of one attack, with the cost of one run.

    `linf` is the largest of the seeds. The statistics of a metric that is no mean are kept for each seed, so that a
    rate of the set is the mean of the rates of the seeds.
    """
    means = pd.DataFrame(pd.concat([one.images for one in members]).groupby("sample", as_index=False).mean())
    images = means.assign(linf=np.max([member.numbers("linf") for member in members], axis=0))
    behind = {name: np.concatenate([member.behind[name] for member in members], axis=1) for name in members[0].behind}
    return Scores(metric=members[0].metric, images=images, behind=behind)


def _most_fooled(members: Sequence[Scores]) -> Scores:
    """Take each image from the attack that fools it most, and `robust` from the attack where that is worst."""
    found = chosen(members, worst(members, "gfr"))
    if "robust" not in found:
        return found
    return _with_robust_of(found, chosen(members, worst(members, "robust")))


def _with_robust_of(found: Scores, robust: Scores) -> Scores:
    behind = {name: (robust if name == "robust" else found).behind[name] for name in found.behind}
    return replace(found.with_columns(robust=robust.numbers("robust")), behind=behind)
