"""What lies in the cache: named here without torch, for the command line."""

from enum import StrEnum


class Kind(StrEnum):
    """Each is a folder."""

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
