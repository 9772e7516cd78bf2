"""What a system comes to that may reject an image: how often it does so, on clean images and on attacked ones."""

from collections.abc import Mapping

from .scores import Scores
from .stats import Estimate, estimate

RATES: Mapping[str, str] = {
    "rejected_clean": "percent of the clean images that a system rejects which may do so: its false positives, which "
    "are errors in `clean`; empty where no system may",
    "detected": "percent of the attacked images that it rejects: there the attack has failed",
    "corrected": "percent of the attacked images that it answers rightly nonetheless",
}
"""Of a system that may reject an image, each with what it says; of other systems there are none."""


def rates(scores: Scores) -> dict[str, Estimate]:
    """Those that the scores of a cell have, in 0..1."""
    return {
        name: estimate(scores.numbers(name), proportion=True, clusters=scores.clusters)
        for name in RATES
        if name in scores
    }
