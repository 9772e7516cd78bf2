"""Compare two rates by their intervals alone, when the scores of single images are not known."""

import math
from typing import NamedTuple

from scipy.stats import norm

from .stats import CONFIDENCE, Estimate


class Unpaired(NamedTuple):
    """The second rate minus the first, the ends of its 95% interval, and its two-sided p-value."""

    difference: float
    low: float
    high: float
    p: float


def unpaired(first: Estimate, second: Estimate) -> Unpaired:
    """Compare two rates as if they came from independent images.

    If the images were the same, this detects less than a paired test would, and claims nothing more. The interval is
    Newcombe's hybrid of the two intervals (1998, method 10,
    https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I), which Zou and Donner (2008,
    https://doi.org/10.1002/sim.3095) show to hold for other intervals than Wilson's. The p-value is that of the normal
    distribution with these 95% limits; it is 1 if the rates are equal or their intervals have no width towards 0, since
    nothing is known about chance then.
    """
    difference = second.mean - first.mean
    below = math.hypot(second.mean - second.low, first.high - first.mean)
    above = math.hypot(second.high - second.mean, first.mean - first.low)
    towards_zero = below if difference > 0 else above
    if not difference or not towards_zero:
        p = 1.0
    else:
        p = float(2 * norm.sf(abs(difference) / towards_zero * norm.ppf((1 + CONFIDENCE) / 2)))
    return Unpaired(difference, difference - below, difference + above, p)
