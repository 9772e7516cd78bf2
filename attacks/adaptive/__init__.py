"""Adaptive attacks, which know the system they attack: its defenses, and the gradients that these offer."""

from .ensemble import AdaptiveEnsemble as AdaptiveEnsemble
from .more_draws import MoreDraws as MoreDraws
from .step_sizes import StepSizes as StepSizes
from .surrogates import Surrogates as Surrogates
from .transfer import Transfer as Transfer
