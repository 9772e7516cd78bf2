"""The worst case of a metric that is no sum over images, as mIoU of a set: which attack counts for which image."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...core.task import Metric, Numbers

PASSES = 100
GAIN = 1e-6
"""A pass that lowers the metric by less is the last."""


def lowest(candidates: Sequence[Numbers], metric: Metric) -> NDArray[np.int64]:
    """Whose statistics (N, S) to take for each image, so that the metric of their sum is as bad as can be found.

    Beginning with the one candidate that is worst for all images, an image changes to another where the sum gets worse
    by it, image after image in random order, until that gains nothing more (as Croce et al. 2024 do for SEA,
    https://arxiv.org/abs/2306.12941). It is never better than any candidate, and some other choice may be worse still.
    """
    stacked = np.stack(candidates)
    alone = _goodness(stacked.sum(axis=1), metric)
    choice = np.full(stacked.shape[1], int(alone.argmin()))
    total, before, rng = stacked[alone.argmin()].sum(axis=0), float(alone.min()), np.random.default_rng(0)
    differing = np.flatnonzero((stacked != stacked[:1]).any(axis=(0, 2)))
    for _ in range(PASSES):
        now = before
        for image in rng.permutation(differing):
            sums = total - stacked[choice[image], image] + stacked[:, image]
            goodness = _goodness(sums, metric)
            best = int(goodness.argmin())
            if goodness[best] < now:
                choice[image], total, now = best, sums[best], float(goodness[best])
        if before - now < GAIN:
            break
        before = now
    return choice


def _goodness(sums: Numbers, metric: Metric) -> Numbers:
    assert metric.value is not None  # the worst case of a mean is exact
    return metric.share(metric.value(sums))
