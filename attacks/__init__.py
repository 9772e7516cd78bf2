"""The attacks. Image attacks return adversarial images, universal attacks craft one perturbation for all images."""

from .fgsm import FGSM as FGSM
from .noise import RandomSign as RandomSign
from .noise import UniformNoise as UniformNoise
from .pgd import PGD as PGD
from .universal import GDUAP as GDUAP
