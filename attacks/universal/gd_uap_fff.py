"""The search of GD-UAP with the objective of FFF (Mopuri et al. 2018, https://arxiv.org/abs/1801.08092, Table 7)."""

from dataclasses import dataclass
from typing import ClassVar

from ...core.registry import register_attack
from ._features import Energy, mean_magnitude
from .gd_uap import GDUAP


@register_attack("gd-uap-fff")
@dataclass(frozen=True, kw_only=True)
class GDUAPWithFFF(GDUAP):
    """Maximise the sum over the feature layers of log(mean absolute activation), as FFF, but as GD-UAP searches.

    GD-UAP's own objective is compared with it: the priors, the halvings and the validations are the same.
    """

    energy: ClassVar[Energy] = staticmethod(mean_magnitude)
