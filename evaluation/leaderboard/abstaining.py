"""Rates of systems that may reject an image: rejections of clean images, and of attacked ones."""

from collections.abc import Mapping

from .scores import Scores
from .stats import Estimate, estimate

RATES: Mapping[str, str] = {
    "rejected_clean": "percent of the clean images that a system rejects which may do so: its false positives, which "
    "are errors in `clean`; empty where no system may",
    "detected": "percent of the attacked images that it rejects: there the attack has failed",
    "corrected": "percent of the attacked images that it answers rightly nonetheless",
}
"""The columns of these rates, each with its meaning; they are empty for systems that cannot reject an image."""


def rates(scores: Scores) -> dict[str, Estimate]:
    """Return those of these rates that the scores of a cell have, in 0..1, with their intervals."""
    return {
        name: estimate(scores.numbers(name), proportion=True, clusters=scores.clusters)
        for name in RATES
        if name in scores
    }
