"""Universal attacks: one perturbation for every image."""

from .ascent import UniversalPGD as UniversalPGD
from .fff import FFF as FFF
from .gd_uap import GDUAP as GDUAP
from .gd_uap_fff import GDUAPWithFFF as GDUAPWithFFF
from .uap import UAP as UAP
