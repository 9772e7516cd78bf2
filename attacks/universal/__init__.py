"""Universal attacks: one perturbation for every image."""

from .ascent import UniversalPGD as UniversalPGD
from .fff import FFF as FFF
from .gd_uap import GDUAP as GDUAP
from .uap import UAP as UAP
