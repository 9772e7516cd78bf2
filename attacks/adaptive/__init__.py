"""Attacks that know the system they are on: what stands around the network, and which gradients it offers."""

from .ensemble import AdaptiveEnsemble as AdaptiveEnsemble
from .more_draws import MoreDraws as MoreDraws
from .step_sizes import StepSizes as StepSizes
from .surrogates import Surrogates as Surrogates
from .transfer import Transfer as Transfer
