"""The kinds of cache entries, in a module that does not import torch, for the command line."""

from enum import StrEnum


class Kind(StrEnum):
    """A kind of cache entry, and the name of its folder."""

    adversarial = "adversarial"
    perturbations = "perturbations"
    learned = "learned"
    rates = "rates"


KINDS = {
    Kind.adversarial: "adversarial images, a folder for each attack on each system",
    Kind.perturbations: "universal perturbations",
    Kind.learned: "what defenses have learned",
    Kind.rates: "how long work takes on a device, as `foolbench plan` has measured it",
}
