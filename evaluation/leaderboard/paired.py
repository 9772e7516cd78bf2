"""Compare two systems on the same images: difference, interval, p-value, and how many images the test needs.

All are pure functions of outcomes image by image, in [0, 1]. Images that depend on each other form a cluster; clusters
are tested and resampled then instead of images.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import root_scalar
from scipy.stats import binomtest, norm

from ...core.errors import InputError
from .bootstrap import AT_ONCE, RESAMPLES, RESAMPLES_OF_SUMS, Numbers, percentiles
from .stats import CONFIDENCE, drawn, estimate, of_few, summed, unseen

POWER = 0.8
"""The power of a test: the probability that it detects the difference, with the images that it needs."""
LEVEL = 1 - CONFIDENCE
"""The significance level: the probability that a test finds a difference where there is none."""
BATCH = 2_000_000
"""The largest number of random numbers that `permutation` draws at a time."""
SEEN = 10
"""Drawings as extreme as the observed difference, after which a permutation test may end."""
MOST_DRAWN = 30_000_000
"""The largest number of random signs of a test if such drawings are rare: 100,000 drawings for 300 images."""
Test = Literal["mcnemar", "permutation"]


class Difference(NamedTuple):
    """The difference of two rates on the same images, the second minus the first, with the ends of its 95% interval.

    `p` is the two-sided p-value of `test`. `needed` is how many images would show half of the difference, see
    `images_needed`. `only_first` and `only_second` count the images with outcome 1 for this system alone, if all
    outcomes are 0 or 1, and are None otherwise.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    test: Test
    p: float
    needed: int | None
    only_first: int | None
    only_second: int | None


def difference(
    first: ArrayLike, second: ArrayLike, *, proportion: bool, clusters: ArrayLike | None = None
) -> Difference:
    """Compare the outcomes of two systems, (N,) in [0, 1], on the same images in the same order.

    If all images scored 0 or 1 (a `proportion`) and are independent, this uses McNemar's exact test and Tango's
    interval. Otherwise, as for means over draws of a randomized system and for `clusters`, a number for each image, it
    uses the permutation test and the bootstrap. Raises InputError for no images, for different numbers of images, and
    for outcomes outside [0, 1].
    """
    one, two = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if one.shape != two.shape or one.ndim != 1 or not one.size:
        raise InputError(f"Expected outcomes of the same images, at least one, got {one.shape} and {two.shape}.")
    if not ((one >= 0) & (one <= 1) & (two >= 0) & (two <= 1)).all():
        raise InputError("Expected outcomes in 0..1.")
    change = (two - one).round(12)  # means over draws may differ by rounding alone
    totals, sizes = (change, np.ones_like(change)) if clusters is None else summed(change, clusters)
    binary = proportion and bool(np.isin([one, two], (0, 1)).all())
    up, down = int((change > 0).sum()), int((change < 0).sum())
    if binary and len(totals) == len(change):
        low, high = tango(up, down, len(change))
        test, p = "mcnemar", mcnemar(up, down)
    else:
        low, high = _resampled(change, totals / sizes, clusters)
        test, p = "permutation", permutation(totals)
    return Difference(
        first=float(one.mean()),
        second=float(two.mean()),
        difference=float(change.mean()),
        low=low,
        high=high,
        test=test,
        p=p,
        needed=images_needed(totals, sizes),
        only_first=down if binary else None,
        only_second=up if binary else None,
    )


def difference_of_values(
    first: Numbers, second: Numbers, value: Callable[[Numbers], Numbers], *, clusters: ArrayLike | None = None
) -> Difference:
    """Compare two systems by the `value`, in 0..1, of their summed statistics, (N, S) for the same images.

    The interval resamples images or clusters, the permutation test swaps the two systems' statistics of random ones,
    and `needed` is derived from how the difference changes without each of them (the jackknife). Raises InputError for
    no images, and for statistics of different shapes.
    """
    if first.shape != second.shape or first.ndim != 2 or not len(first):
        raise InputError(f"Expected statistics of the same images, at least one, got {first.shape} and {second.shape}.")
    sizes = np.ones(len(first))
    if clusters is not None:
        (first, sizes), (second, _) = summed(first, clusters), summed(second, clusters)
    one, two = first.sum(axis=0), second.sum(axis=0)
    found, count = float(value(two) - value(one)), len(first)
    if count == 1:
        low, high, effects = -1.0, 1.0, np.array([found])
    else:
        low, high = percentiles(
            lambda often: value(drawn(often, second)) - value(drawn(often, first)), count, of_few(count, CONFIDENCE)
        )
        if math.isclose(low, high, abs_tol=1e-12):
            low, high = unseen(found, count, least=-1)
        effects = count * found - (count - 1) * (value(two - second) - value(one - first))
    return Difference(
        first=float(value(one)),
        second=float(value(two)),
        difference=found,
        low=low,
        high=high,
        test="permutation",
        p=_swapped(first, second, value),
        needed=images_needed(effects * sizes.mean(), sizes),
        only_first=None,
        only_second=None,
    )


def _swapped(first: Numbers, second: Numbers, value: Callable[[Numbers], Numbers]) -> float:
    """Return the p-value of the permutation test of `difference_of_values`.

    It takes 1999 drawings and, if fewer than `SEEN` of them reach the observed difference, goes on until so many do or
    `MOST_DRAWN` signs are drawn: a p-value that is to survive a correction for many tests must be known to be small.
    """
    one, change, rng = first.sum(axis=0), second - first, np.random.default_rng(0)
    total = one + second.sum(axis=0)
    least, reached, done = abs(float(value(total - one) - value(one))) - 1e-12, 0, 0
    most = max(RESAMPLES_OF_SUMS, MOST_DRAWN // len(first))
    at_once = min(RESAMPLES_OF_SUMS, max(1, AT_ONCE // len(first)))
    while done < RESAMPLES_OF_SUMS or (reached < SEEN and done < most):
        count = min(at_once, most - done)
        swap = rng.integers(2, size=(count, len(first))).astype(float)
        others = one + swap @ change
        reached += int((np.abs(value(total - others) - value(others)) >= least).sum())
        done += count
    return (reached + 1) / (done + 1)


def mcnemar(up: int, down: int) -> float:
    """Return the p-value of McNemar's test, exact and two-sided (McNemar 1947, https://doi.org/10.1007/BF02295996).

    `up` and `down` count the images that changed in either direction, which should be half each under the null.
    """
    return float(binomtest(up, up + down).pvalue) if up + down else 1.0


def tango(up: int, down: int, count: int) -> tuple[float, float]:
    """Return the score interval of (up - down) / count, a difference of two proportions on the same images.

    It holds all differences that a score test does not reject (Tango 1998,
    https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B), and has a width even if no image
    differs.
    """
    found, z = (up - down) / count, _z(1 - LEVEL / 2)

    def score(supposed: float) -> float:
        far = up - down - count * supposed
        if not far:
            return 0.0
        # the maximum-likelihood share of `down` under the supposed difference
        b, c = (2 * count - up + down) * supposed - up - down, -down * supposed * (1 - supposed)
        share = (math.sqrt(b * b - 8 * count * c) - b) / (4 * count)
        return far / math.sqrt(count * max(2 * share + supposed * (1 - supposed), 1e-12))

    low = -1.0 if down == count else root_scalar(lambda supposed: score(supposed) - z, bracket=(-1, found)).root
    high = 1.0 if up == count else root_scalar(lambda supposed: score(supposed) + z, bracket=(found, 1)).root
    return float(low), float(high)


def permutation(changes: ArrayLike) -> float:
    """Return the two-sided p-value of the paired permutation test, which draws the sign of each change at random.

    It takes 9999 drawings, and counts the observed signs as another (Phipson and Smyth 2010,
    https://doi.org/10.2202/1544-6115.1585). These alone cannot give a p-value below 0.0001, so that a correction for
    many tests would find no difference, however plain. If Hoeffding's bound on sums of random signs (1963,
    https://doi.org/10.1080/01621459.1963.10500830) is smaller, it is the p-value. If all changes other than 0 have the
    same size, the test is McNemar's, and exact.
    """
    observed = np.asarray(changes, dtype=float)
    kinds, counts = np.unique(np.abs(observed[observed != 0]), return_counts=True)
    if len(kinds) <= 1:
        return mcnemar(int((observed > 0).sum()), int((observed < 0).sum()))
    rng, at_once = np.random.default_rng(0), max(1, BATCH // len(kinds))
    least, reached = abs(observed.sum()) * (1 - 1e-9), 0
    for begin in range(0, RESAMPLES, at_once):
        signs = rng.binomial(counts, 0.5, size=(min(at_once, RESAMPLES - begin), len(kinds)))  # positive, by size
        reached += int((np.abs((2 * signs - counts) @ kinds) >= least).sum())
    return min((reached + 1) / (RESAMPLES + 1), hoeffding(observed))


def hoeffding(changes: Numbers) -> float:
    """Bound the probability that changes with random signs have a sum as large as the observed one, two-sided."""
    squares = float((changes**2).sum())
    return 2 * math.exp(-(float(changes.sum()) ** 2) / (2 * squares)) if squares else 1.0


def images_needed(changes: ArrayLike, sizes: ArrayLike | None = None) -> int | None:
    """Return how many images show half of the mean change with power 80% at level 5%; None if the mean change is 0.

    It is a normal approximation for images that change as often and as much as these (for proportions Connor 1987,
    https://doi.org/10.2307/2531961). `changes` are sums over clusters of `sizes` images, or those of single images.
    """
    totals = np.asarray(changes, dtype=float)
    size = 1.0 if sizes is None else float(np.asarray(sizes, dtype=float).mean())
    mean, square = float(totals.mean()) / size, float((totals**2).mean()) / size**2
    if abs(mean) < 1e-9:  # only rounding errors
        return None
    half = mean / 2
    root = _z(1 - LEVEL / 2) * math.sqrt(square) + _z(POWER) * math.sqrt(square - half**2)
    return math.ceil(size * (root / half) ** 2)


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values for multiple comparisons by Holm's method (1979, https://www.jstor.org/stable/4615733).

    Those that stay below 5% are, with 95% probability, all true differences.
    """
    order = np.argsort(p, kind="stable")
    steps = np.asarray(p, dtype=float)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected.tolist()


def _resampled(change: Numbers, means: Numbers, clusters: ArrayLike | None) -> tuple[float, float]:
    """Return the bootstrap interval over images, or over clusters with these means.

    If all means are equal, images that were not seen may change by anything from -1 to 1; if all are -1, 0 or 1, that
    is Tango's interval.
    """
    if (means == means[0]).all():
        return unseen(float(means[0]), len(means), least=-1)
    found = estimate(change, proportion=False, clusters=clusters)
    return found.low, found.high


def _z(quantile: float) -> float:
    return float(norm.ppf(quantile))
